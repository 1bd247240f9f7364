/**
 * Questions and their answers. A turn is {id, question, state, text, error, whole, first, seconds, suggestions}.
 *
 * state: `asking` until there is an end, then `done`, `stopped` or `failed`. text: of the answer, so far. whole: the
 * answer as the API gives it, once it is done. first, seconds: until its first word, and until its end. suggestions:
 * what may be asked next: null, `asking`, a list, or {error}.
 */

import { suggestions } from "./marks.js";
import { bodyOf } from "./question.js";
import { names, settings, turns } from "./state.js";
import { ask, call } from "./wire.js";

let next = 1;
let running = null;

function update(id, fields) {
  turns.value = turns.value.map((turn) => (turn.id === id ? { ...turn, ...fields } : turn));
}

/** Turns that a question may follow: those that were answered. */
export function answered(before = turns.value) {
  return before
    .filter((turn) => turn.text && turn.state !== "failed")
    .map((turn) => ({ question: turn.question, answer: turn.text }));
}

/** The body of a question that is asked after these turns. */
export function request(question, model, before = turns.value) {
  return bodyOf({ question, turns: answered(before), settings: settings.value, model, there: names.value });
}

/** Ask it, after what was asked before. */
export async function put(question, model) {
  const body = request(question, model);
  const turn = { id: next++, question, body, state: "asking", text: "", error: null, whole: null, suggestions: null };
  turns.value = [...turns.value, turn];
  await answer(turn.id, body);
}

/** Ask a question that failed or was stopped once more, as it was. */
export async function again(turn) {
  update(turn.id, { state: "asking", text: "", error: null, whole: null });
  await answer(turn.id, turn.body);
}

async function answer(id, body) {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  let first = null;
  const onText = (text) => {
    if (text && first === null) first = since();
    update(id, { text, first });
  };
  try {
    const whole = await ask(body, { signal: mine.signal, onText });
    update(id, { state: "done", text: whole.message, whole, first, seconds: since() });
  } catch (error) {
    if (error.name === "AbortError") update(id, { state: "stopped", seconds: since() });
    else update(id, { state: "failed", error });
  } finally {
    if (running === mine) running = null;
  }
}

export function stop() {
  running?.abort();
}

/** Forget all of it. */
export function clear() {
  stop();
  turns.value = [];
}

/** Have the model say what may be asked after a turn. */
export async function suggest(turn) {
  update(turn.id, { suggestions: "asking" });
  const before = answered(turns.value.slice(0, turns.value.findIndex(({ id }) => id === turn.id) + 1));
  const message = before.flatMap(({ question, answer: text }) => [
    { user: "me", message: question },
    { user: "gpt", message: text },
  ]);
  try {
    const body = {
      message: [...message, { user: "me", message: "What may I ask next?" }],
      model: turn.body.model,
      dataset: "none",
    };
    const found = await call("/server/follow-up-questions", { ...body, max_tokens: 120 });
    update(turn.id, { suggestions: suggestions(found.message) });
  } catch (error) {
    update(turn.id, { suggestions: { error } });
  }
}
