/** The speech that is being made or was the last one. It outlives the tab. */
import { ApiError, stream } from "../../http.js";
import { batch, signal } from "../../lib.js";
import { TYPES } from "./formats.js";
import { decoded } from "./pcm.js";
import { playerOf } from "./players.js";
import { requestOf, streamedBody } from "./request.js";

/** What to say. */
export const text = signal("");
/** idle, speaking, done, stopped or failed. */
export const phase = signal("idle");
/** What plays it, as of players.js; null before the first. */
export const player = signal(null);
/** {first, work, usage}: seconds to the first sound and to the end, and what the server counts; each null until it is known. */
export const facts = signal({ first: null, work: null, usage: null });
export const error = signal(null);
/** {blob, name} of what has come, once nothing more comes; null until then. */
export const file = signal(null);

let control = null;

/** settings: see requestOf. */
export async function speak(settings, model) {
  stop();
  player.value?.close();
  const request = requestOf(settings, model, text.value);
  const own = new AbortController();
  control = own;
  const begun = performance.now();
  const since = () => (performance.now() - begun) / 1000;
  const know = (found) => {
    if (control === own || player.value === made) facts.value = { ...facts.value, ...found };
  };
  // It is made at once, within the press of the button, which lets it sound.
  const made = playerOf(settings.format, () => {
    if (facts.value.first === null) know({ first: since() });
  });
  batch(() => {
    phase.value = "speaking";
    player.value = made;
    facts.value = { first: null, work: null, usage: null };
    error.value = null;
    file.value = null;
  });
  const parts = [];
  let requestId = null;
  const onResponse = ({ headers }) => {
    requestId = headers.get("x-request-id");
  };
  let next = "failed";
  const options = { json: streamedBody(request), signal: own.signal, onResponse };
  try {
    for await (const { data } of stream(request.path, options)) {
      if (data.type === "speech.audio.delta") {
        parts.push(decoded(data.audio));
        made.append(parts.at(-1));
      }
      if (data.type === "speech.audio.done") {
        know({ usage: data.usage });
        next = "done";
      }
    }
    if (next !== "done") throw new ApiError("The answer broke off.", { requestId });
  } catch (failed) {
    next = "failed";
    if (failed.name === "AbortError") next = "stopped";
    else if (control === own) error.value = failed;
  }
  if (control !== own) return;
  control = null;
  know({ work: since() });
  batch(() => {
    phase.value = next;
    if (parts.length) {
      file.value = { blob: new Blob(parts, { type: TYPES[settings.format] }), name: request.save };
      made.end();
    } else {
      made.close();
      player.value = null;
    }
  });
  if (next === "stopped") made.pause();
}

/** End the work, and the sound with it. */
export function stop() {
  control?.abort();
}
