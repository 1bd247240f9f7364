/** The microphone: asked for, listened to, and made a file of. */
import { signal } from "../../lib.js";

/** Formats in the order of our liking, and what a file of each ends in; browsers can't write all of them. */
const FORMATS = [
  ["audio/webm;codecs=opus", "webm"],
  ["audio/ogg;codecs=opus", "ogg"],
  ["audio/mp4", "m4a"],
];
/** Every so many milliseconds the level is read, and this many levels are remembered. */
const EVERY = 80;
export const LEVELS = 64;

/** off, asking or on. */
export const state = signal("off");
/** Seconds since it began. */
export const elapsed = signal(0);
/** The latest levels, from 0 to 1, the newest last. */
export const levels = signal([]);
/** Why it can't be listened to, as a text; null where nothing is wrong. */
export const obstacle = signal(null);

let running = null;

/** Why there is no microphone, before it is even asked for; null where there may be one. */
export function missing() {
  if (!globalThis.isSecureContext) {
    return "Browsers open the microphone only to pages that come by HTTPS, or from this machine as localhost. Put a TLS proxy before the server, or choose a file.";
  }
  if (!navigator.mediaDevices?.getUserMedia || !globalThis.MediaRecorder) {
    return "This browser can't record. Choose a file.";
  }
  return null;
}

const REASONS = {
  NotAllowedError:
    "The browser does not let this page use the microphone. Allow it in the browser's settings for this page, then try again.",
  NotFoundError: "No microphone was found. Connect one, then try again.",
  NotReadableError: "Another program holds the microphone. Close it, then try again.",
};

/** Begin. onFile: gets the File at the end, unless it is discarded. */
export async function record(onFile) {
  obstacle.value = missing();
  if (obstacle.value || state.value !== "off") return;
  state.value = "asking";
  let source = null;
  try {
    source = await navigator.mediaDevices.getUserMedia({ audio: true });
    if (state.value !== "asking") {
      // It was given up while the browser still asked.
      end(source);
      return;
    }
    running = begin(source, onFile);
    state.value = "on";
  } catch (error) {
    if (source) end(source);
    state.value = "off";
    obstacle.value = REASONS[error.name] ?? `The microphone can't be used: ${error.message}`;
  }
}

function begin(source, onFile) {
  const format = FORMATS.find(([type]) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(source, format && { mimeType: format[0] });
  const parts = [];
  const own = { recorder, source, keep: true, meter: meter(source) };
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.onstop = () => {
    own.meter.close();
    end(source);
    running = null;
    state.value = "off";
    const type = recorder.mimeType.split(";")[0];
    if (!own.keep) return;
    const file = new File(parts, `recording.${format?.[1] ?? "webm"}`, { type });
    if (file.size) onFile(file);
    else obstacle.value = "Nothing was recorded: it was stopped too soon. Record again.";
  };
  // The microphone may be unplugged.
  source.getAudioTracks()[0].onended = () => finish();
  recorder.start(1000);
  return own;
}

/** End it; keep: whether a file comes of it. */
export function finish(keep = true) {
  if (state.value === "asking") state.value = "off";
  if (!running) return;
  running.keep = keep;
  if (running.recorder.state !== "inactive") running.recorder.stop();
}

function end(source) {
  for (const track of source.getTracks()) track.stop();
}

/** Reads how loud it is, and how long it lasts. */
function meter(source) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  context.createMediaStreamSource(source).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const begun = performance.now();
  elapsed.value = 0;
  levels.value = [];
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    levels.value = [...levels.value, loudness(samples)].slice(-LEVELS);
    elapsed.value = (performance.now() - begun) / 1000;
  }, EVERY);
  return {
    close: () => {
      clearInterval(timer);
      context.close();
    },
  };
}

/** 0 for 60 dB below full scale and less, 1 for full scale. */
export function loudness(samples) {
  const power = samples.reduce((sum, one) => sum + one * one, 0) / samples.length;
  return Math.min(1, Math.max(0, 1 + (10 * Math.log10(power + 1e-12)) / 60));
}
