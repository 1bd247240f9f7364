/** The transcription that is under way or was the last one: its recording, and what the server says. It outlives the tab. */
import { ApiError, call, stream } from "../../http.js";
import { batch, signal } from "../../lib.js";
import { bodyOf, requestOf, verboseOf } from "./request.js";
import { withWords } from "./timing.js";

/** {file: File, url: of a blob, duration: seconds or null}; null before one is chosen. */
export const recording = signal(null);
/** idle, sending, listening, done, stopped or failed. */
export const phase = signal("idle");
/** {sent, all}: bytes on their way up. */
export const upload = signal(null);
/** Segments as they come, each with its words. */
export const segments = signal([]);
/** The whole, in the form of verbose_json; null until then. */
export const answer = signal(null);
/** {work, first}: seconds from the recording's arrival to the end, and to the first words. */
export const times = signal(null);
export const error = signal(null);

let control = null;

/** Take a file in the place of the last one. */
export function take(file) {
  stop();
  if (recording.value) URL.revokeObjectURL(recording.value.url);
  batch(() => {
    recording.value = file && { file, url: URL.createObjectURL(file), duration: null };
    clear("idle");
  });
}

function clear(next) {
  phase.value = next;
  upload.value = null;
  segments.value = [];
  answer.value = null;
  times.value = null;
  error.value = null;
}

export function stop() {
  control?.abort();
}

export const busy = () => phase.value === "sending" || phase.value === "listening";

/** Send the recording. settings: see requestOf. */
export async function transcribe(settings, model) {
  const { file } = recording.value;
  const request = requestOf(settings, model, file.name);
  const own = new AbortController();
  control = own;
  batch(() => clear("sending"));
  let arrived = performance.now();
  let first = null;
  const since = () => (performance.now() - arrived) / 1000;
  const onUpload = (sent, all) => {
    if (own.signal.aborted) return;
    upload.value = { sent, all };
    arrived = performance.now();
    if (sent === all) phase.value = "listening";
  };
  let requestId = null;
  const onResponse = ({ headers }) => {
    requestId = headers.get("x-request-id");
  };
  const options = { form: bodyOf(request, file), signal: own.signal, onUpload };
  try {
    let done;
    if (request.stream) {
      for await (const { data } of stream(request.path, { ...options, onResponse })) {
        phase.value = "listening";
        if (data.type === "transcript.text.segment") {
          first ??= since();
          segments.value = [...segments.value, data];
        }
        if (data.type === "transcript.text.done") done = verboseOf(data);
      }
    } else {
      done = await call("POST", request.path, options);
    }
    if (own.signal.aborted) return;
    if (!done) throw new ApiError("The answer broke off.", { requestId });
    batch(() => {
      segments.value = withWords(done.segments, done.words);
      answer.value = done;
      times.value = { work: since(), first };
      phase.value = "done";
    });
  } catch (failed) {
    // Another recording may have taken its place.
    if (control !== own) return;
    if (failed.name === "AbortError") {
      if (phase.value !== "idle") phase.value = "stopped";
      return;
    }
    batch(() => {
      error.value = failed;
      phase.value = "failed";
    });
  } finally {
    if (control === own) control = null;
  }
}
