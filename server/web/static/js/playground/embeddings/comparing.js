/** The texts, the request for their vectors, and the latest answer. */
import { standing } from "../../components/model_choice.js";
import { post } from "../../http.js";
import { kept } from "../../kept.js";
import { computed, signal } from "../../lib.js";
import { asking, mayInfer } from "../../session.js";
import { linesOf, matrixOf } from "./similarity.js";

/** More rows make a table that nobody reads. */
export const MOST = 64;
const EXAMPLES = [
  "A cat sleeps on the sofa.",
  "A kitten naps on the couch.",
  "Shares fell sharply this morning.",
  "The stock market lost value today.",
];

export const settings = kept("embeddings.settings", { model: "", dimensions: null });
export const texts = kept("embeddings.texts", EXAMPLES);
/** {texts, numbers, vectors, rows, tokens, credits, seconds, model}, or null. */
export const result = signal(null);
export const failure = signal(null);
export const busy = signal(false);

export const model = computed(() => standing("embedding", settings.value.model));
/** Those that are sent: [place, text], place as it is shown, from 1. Empty rows are left out. */
const filled = computed(() => texts.value.map((text, at) => [at + 1, text]).filter(([, text]) => text.trim()));
/** What would be sent, as of code/code.js; null while there is nothing to send. */
export const request = computed(() => {
  if (!model.value || !filled.value.length) return null;
  const { dimensions } = settings.value;
  const input = filled.value.map(([, text]) => text);
  return {
    path: "/v1/embeddings",
    json: { model: model.value, input, ...(dimensions === null ? {} : { dimensions }), encoding_format: "float" },
  };
});
/** Whether the texts have changed since they were compared. */
export const stale = computed(
  () => result.value && JSON.stringify(result.value.texts) !== JSON.stringify(request.value?.json.input),
);

let stopping = null;

export async function compare() {
  if (busy.value) return;
  if (!mayInfer.value) {
    asking.value = true;
    return;
  }
  if (!request.value) {
    failure.value = model.value ? { message: "Write at least one text." } : null;
    return;
  }
  const numbers = filled.value.map(([place]) => place);
  const { json, path } = request.value;
  const began = Date.now();
  busy.value = true;
  failure.value = null;
  stopping = new AbortController();
  try {
    const { data, usage } = await post(path, json, { signal: stopping.signal });
    const vectors = data.map((one) => one.embedding);
    result.value = {
      texts: json.input,
      numbers,
      vectors,
      rows: matrixOf(vectors),
      model: json.model,
      tokens: usage.prompt_tokens,
      credits: usage.credits ?? null,
      seconds: (Date.now() - began) / 1000,
    };
  } catch (error) {
    if (error.name !== "AbortError") failure.value = error;
  } finally {
    busy.value = false;
  }
}

export function stop() {
  stopping?.abort();
}

export function write(at, text) {
  texts.value = texts.value.with(at, text);
}

/** A new row below one, or at the end. Returns whether there is room for it. */
export function add(below = texts.value.length - 1) {
  if (texts.value.length >= MOST) return false;
  texts.value = texts.value.toSpliced(below + 1, 0, "");
  return true;
}

export function removeRow(at) {
  texts.value = texts.value.length === 1 ? [""] : texts.value.toSpliced(at, 1);
}

/** Several lines pasted into an empty row become a row each. Returns how many found no room, or null for a text of one line. */
export function pasted(at, text) {
  const lines = linesOf(text);
  if (lines.length < 2 || texts.value[at].trim()) return null;
  const room = MOST - texts.value.length + 1;
  texts.value = texts.value.toSpliced(at, 1, ...lines.slice(0, room));
  return Math.max(0, lines.length - room);
}

/** What is copied: each text with its vector. */
export function vectorsJson() {
  const { texts: sent, vectors } = result.value;
  return JSON.stringify(sent.map((text, at) => ({ text, embedding: vectors[at] })));
}
