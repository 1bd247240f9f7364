/**
 * What plays which format. A player has the signals position and duration (seconds), playing, complete (whether all of it
 * has come) and broken (whether this browser can't play it); append(bytes) and end() for what comes; play(), pause(), seek(seconds) and close(). It begins by itself.
 */
import { FilePlayer } from "./file_player.js";
import { TYPES } from "./formats.js";
import { SamplePlayer, WholePlayer } from "./sample_player.js";

/** Whether this browser can begin before the end. */
export function playsEarly(format) {
  if (format === "wav" || format === "pcm") return true;
  return Boolean(globalThis.MediaSource?.isTypeSupported(TYPES[format]));
}

/** onSound: is called when it begins to sound, each time. */
export function playerOf(format, onSound) {
  if (format === "wav" || format === "pcm") return new SamplePlayer(format, onSound);
  return playsEarly(format) ? new FilePlayer(format, onSound) : new WholePlayer(onSound);
}
