/** The formats of speech, and what browsers call them. */

export const TYPES = {
  mp3: "audio/mpeg",
  opus: "audio/ogg",
  aac: "audio/aac",
  flac: "audio/flac",
  wav: "audio/wav",
  pcm: "application/octet-stream",
};

/** [format, what it is good for] */
export const FORMATS = [
  ["mp3", "MP3"],
  ["wav", "WAV"],
  ["flac", "FLAC: as good as WAV, half as large"],
  ["opus", "Opus: the smallest"],
  ["aac", "AAC"],
  ["pcm", "PCM: bare samples, 24 kHz"],
];
