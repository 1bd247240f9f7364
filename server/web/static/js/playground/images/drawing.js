/** The run that is shown, and how one is started and stopped. It goes on while another tab of the playground is open. */

import { standing } from "../../components/model_choice.js";
import { ApiError, read, send, stream } from "../../http.js";
import { kept } from "../../kept.js";
import { computed, signal } from "../../lib.js";
import { asking, mayInfer } from "../../session.js";
import { amend, keep } from "./gallery.js";
import { formOf, isSize, requestOf, STANDARD } from "./request.js";
import { begun, blobOf, ended, entryOf, finished, withAnswer, withEvent } from "./run.js";
import { MASK, maskBlob, maskFile, source, sourceFile } from "./source.js";

export const settings = kept("images.settings", STANDARD);
export const prompt = kept("images.prompt", "");
export const way = kept("images.way", "draw");
/** The latest run, or null. */
export const run = signal(null);
/** What is missing in the form, by field: prompt, size, picture. */
export const missing = signal({});

export const model = computed(() => standing("image", settings.value.model));
export const running = computed(() => run.value?.state === "running");

/** What would be sent, as of code/code.js; null while there is nothing to send. */
export const request = computed(() => {
  if (!model.value || (way.value !== "draw" && !source.value)) return null;
  if (way.value !== "vary" && !prompt.value.trim()) return null;
  const files = way.value === "draw" ? {} : { picture: sourceFile.value };
  if (way.value === "edit" && maskFile.value) files.mask = maskFile.value;
  return requestOf(way.value, { model: model.value, prompt: prompt.value, settings: settings.value, files });
});

export function set(name, value) {
  settings.value = { ...settings.value, [name]: value };
}

let stopping = null;
let number = 0;

function lacking() {
  const found = {};
  if (way.value !== "vary" && !prompt.value.trim()) found.prompt = "Say what the picture shall show.";
  if (way.value !== "draw" && !source.value) found.picture = "Choose a picture first.";
  if (!isSize(settings.value.size)) found.size = "A width and a height in pixels, such as 512x768.";
  return found;
}

export async function start() {
  if (running.value) return;
  if (!mayInfer.value) {
    asking.value = true;
    return;
  }
  missing.value = lacking();
  if (Object.keys(missing.value).length || !request.value) return;
  const asked = request.value;
  const blobs = asked.form && blobsOf();
  stopping = new AbortController();
  number += 1;
  run.value = begun({
    id: `${Date.now()}-${number}-${Math.random().toString(36).slice(2, 8)}`,
    way: way.value,
    model: model.value,
    prompt: way.value === "vary" ? "" : prompt.value,
    settings: { ...settings.value },
    at: Date.now(),
  });
  const { signal } = stopping;
  try {
    // Painting the mask takes a moment, in which it could be pressed once more or stopped.
    const options = { json: asked.json, form: asked.form && formOf(asked, await blobs), signal };
    await (asked.stream ? follow(asked.path, options) : take(asked.path, options));
    run.value = ended(run.value, "done", Date.now());
  } catch (error) {
    run.value =
      error.name === "AbortError"
        ? ended(run.value, "stopped", Date.now())
        : ended(run.value, "failed", Date.now(), error);
  }
  await amendDone();
}

async function blobsOf() {
  const blobs = { [sourceFile.value]: source.value.blob };
  if (maskFile.value) blobs[MASK] = await maskBlob();
  return blobs;
}

function heardOf(response) {
  const { headers } = response;
  run.value = { ...run.value, reason: headers.get("x-quality-reason"), requestId: headers.get("x-request-id") };
}

async function follow(path, options) {
  for await (const { data } of stream(path, { ...options, onResponse: heardOf })) {
    const { b64_json: picture, ...event } = data;
    run.value = withEvent(run.value, { ...event, blob: blobOf(picture, event.output_format) }, Date.now());
    if (event.type.endsWith(".completed")) keep(entryOf(run.value, event.index));
  }
  if (finished(run.value) < run.value.slots.length) {
    throw new ApiError("The answer broke off.", { requestId: run.value.requestId });
  }
}

async function take(path, options) {
  const response = await send("POST", path, options);
  heardOf(response);
  const answer = await read(response);
  const blobs = answer.data.map((one) => blobOf(one.b64_json, answer.output_format));
  run.value = withAnswer(run.value, answer, blobs, Date.now());
  for (const index of run.value.slots.keys()) keep(entryOf(run.value, index));
}

/** Once more, now that the time and the credits are known. */
async function amendDone() {
  const last = run.value;
  for (const [index, slot] of last.slots.entries()) if (slot.state === "done") await amend(entryOf(last, index));
}

export function stop() {
  stopping?.abort();
}

/** Put an earlier picture's words and settings into the form, its seed too, so that it is drawn again. */
export function reuse(entry) {
  settings.value = { ...STANDARD, ...entry.settings, n: 1, model: entry.model, seed: entry.seed ?? null };
  if (entry.prompt) prompt.value = entry.prompt;
  way.value = entry.way;
  missing.value = {};
}
