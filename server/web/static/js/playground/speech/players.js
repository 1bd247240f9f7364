/**
 * What plays which format. A player has the signals position and duration (seconds), playing, and complete (whether all of it
 * has come); append(bytes) and end() for what comes; play(), pause(), seek(seconds) and close(). It begins by itself.
 */
import { FilePlayer } from "./file_player.js";
import { TYPES } from "./formats.js";
import { SamplePlayer } from "./sample_player.js";

/** Whether this browser can begin before the end. */
export function playsEarly(format) {
  if (format === "wav" || format === "pcm") return true;
  return Boolean(globalThis.MediaSource?.isTypeSupported(TYPES[format]));
}

/** onSound: is called when it begins to sound, each time. */
export function playerOf(format, onSound) {
  if (format === "wav" || format === "pcm") return new SamplePlayer(format, onSound);
  return new FilePlayer(format, playsEarly(format), onSound);
}
