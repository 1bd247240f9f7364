/** Asks the model and writes its answer into the chat, piece by piece. Several may be on their way at once. */

import { standing } from "../../components/model_choice.js";
import { ApiError, read, send, stream } from "../../http.js";
import { signal } from "../../lib.js";
import { able, named } from "../../models.js";
import { Answering } from "./delta.js";
import { costOf, timesOf } from "./figures.js";
import { requestOf } from "./request.js";
import { chat, chatOf, grow, leave, letGo, newId, save, update, writing } from "./state.js";
import { add, change, leaf, path, upTo } from "./tree.js";

const SAVED_EVERY = 500;

/** The answers that are being written, by the ids of their messages: signals of what there is of each. */
const live = new Map();
/** The runs, each one request. */
const runs = signal([]);
/** What was finished last, for those who don't see the page. */
export const said = signal("");

writing.in = (id) => runs.peek().some((run) => run.chat === id);

/** The signal of a message that is being written here, or null. */
export const liveOf = (id) => live.get(id) ?? null;
/** Whether answers of this chat are being written. */
export const isWriting = (id) => runs.value.some((run) => run.chat === id);

export function stopAll(id = chat.peek().id) {
  for (const run of runs.peek()) if (run.chat === id) run.abort.abort();
}

export function stopOne(message) {
  for (const run of runs.peek()) if (run.ids.includes(message)) run.abort.abort();
}

/** Runs that have ended and are not kept yet. */
const ending = new Set();

addEventListener("pagehide", () =>
  leave([...runs.peek(), ...ending].flatMap((run) => piecesOf(run).map((one) => [run.chat, one]))),
);

// ---------------------------------------------------------------- what is asked

/** The settings with models that are there: one that was chosen may be gone, and nobody has to choose. */
export function settled(settings) {
  const model = standing("chat", settings.model);
  const second = able("chat").find((one) => one.id !== model && one.state !== "failed")?.id ?? model;
  return { ...settings, model, otherModel: standing("chat", settings.otherModel || second) };
}

const columnsOf = ({ settings }) => (settings.compare ? [0, 1] : [0]);

/** Say something, and let the model answer: both of them, side by side. */
export function say(content, images = []) {
  const { id } = chat.peek();
  const columns = columnsOf(chat.peek());
  const leaves = columns.map((column) => leaf(chat.peek().tree, column));
  const message = (parent) => ({
    id: newId(),
    parent,
    role: "user",
    content,
    at: Date.now(),
    ...(images.length ? { images } : {}),
  });
  title(id, content);
  if (new Set(leaves).size === 1) {
    const one = message(leaves[0]);
    update(id, (now) => ({ ...now, tree: add(now.tree, one) }));
    for (const column of columns) answer(id, one.id, column, columns.length === 1 ? [0, 1] : [column]);
    return;
  }
  for (const column of columns) {
    const one = message(leaves[column]);
    update(id, (now) => ({ ...now, tree: add(now.tree, one, [column]) }));
    answer(id, one.id, column, [column]);
  }
}

function title(id, content) {
  update(id, (now) => {
    if (now.title) return now;
    const words = content.trim().replace(/\s+/g, " ");
    return { ...now, title: words.length > 60 ? `${words.slice(0, 59)}…` : words };
  });
}

/** The same question once more: a branch beside the answer. One that failed with nothing in it is written over. */
export function askAgain(message, column) {
  const { id } = chat.peek();
  answer(id, message.parent, column, shownIn(column), message.error && !message.content ? message.id : newId());
}

/** Let the model write on from the end of its answer. */
export function writeOn(message, column) {
  answer(chat.peek().id, message.parent, column, [column], message.id, message);
}

/** A message with another text, as a branch; what somebody said is answered anew. */
export function edit(message, content, column) {
  const { id } = chat.peek();
  const { role, images, callId, name, calls } = message;
  const one = { id: newId(), parent: message.parent, role, content, at: Date.now(), edited: true };
  for (const [field, value] of Object.entries({ images, callId, name, calls })) if (value?.length) one[field] = value;
  if (role === "assistant") Object.assign(one, { model: message.model, quality: message.quality });
  // The results of the other calls of the same answer go along: the model gets all of them, or none.
  const after = role === "tool" ? resultsAfter(message, column) : [];
  const added = [one];
  for (const result of after) added.push({ ...result, id: newId(), parent: added.at(-1).id });
  update(id, (now) => ({
    ...now,
    tree: added.reduce((tree, each) => add(tree, each, shownIn(column)), now.tree),
  }));
  if (role === "assistant") save(id);
  else answer(id, added.at(-1).id, column, shownIn(column));
}

/** The results that a column shows below a result, up to the answer that they led to. */
function resultsAfter(message, column) {
  const { tree } = chat.peek();
  const shown = path(tree, column).map((id) => tree.messages[id]);
  const below = shown.slice(shown.findIndex((one) => one.id === message.id) + 1);
  const end = below.findIndex((one) => one.role !== "tool");
  return end < 0 ? below : below.slice(0, end);
}

/** The results of the calls of an answer, in their order; then the model goes on. results: [call, text]. */
export function giveResults(message, results, column) {
  const { id } = chat.peek();
  let parent = message.id;
  for (const [call, content] of results) {
    const one = { id: newId(), parent, role: "tool", content, callId: call.id, name: call.name, at: Date.now() };
    update(id, (now) => ({ ...now, tree: add(now.tree, one, shownIn(column)) }));
    parent = one.id;
  }
  answer(id, parent, column, shownIn(column));
}

/** Without a second column both show the same, so that one that is opened later goes on from there. */
const shownIn = (column) => (chat.peek().settings.compare ? [column] : [0, 1]);

// ---------------------------------------------------------------- one answer

/** onto: the message that is continued. */
async function answer(id, parent, column, shown, messageId = newId(), onto = null) {
  const { settings, tree } = chatOf(id);
  const before = upTo(tree, parent);
  const request = requestOf(settled(settings), onto ? [...before, onto] : before, column);
  if (onto) {
    Object.assign(request.json, { continue_final_message: true, add_generation_prompt: false });
    delete request.json.n;
  }
  const run = {
    chat: id,
    parent,
    column,
    abort: new AbortController(),
    ids: [messageId],
    request,
    onto,
    answering: new Answering(() => performance.now()),
    told: {},
    phase: "",
    saved: 0,
    frame: 0,
  };
  // One that is written over leaves nothing behind; one that is continued keeps what it has.
  const message = onto
    ? { ...onto, error: undefined, ...blank(run, messageId), content: onto.content }
    : blank(run, messageId);
  update(id, (now) => ({ ...now, changed: Date.now(), tree: add(now.tree, message, shown) }));
  live.set(messageId, signal(pieces(run, 0)));
  runs.value = [...runs.peek(), run];
  save(id);
  let error = null;
  try {
    await (request.stream ? streamed(run) : whole(run));
  } catch (failed) {
    error = failed;
  }
  finish(run, error);
}

const blank = ({ parent, request }, id) => ({
  id,
  parent,
  role: "assistant",
  content: "",
  at: Date.now(),
  model: request.json.model,
  quality: request.json.quality ?? "auto",
  unfinished: true,
  ...(request.json.response_format ? { json: true } : {}),
});

function hear(run, { headers }) {
  run.told = {
    requestId: headers.get("x-request-id") ?? undefined,
    reason: headers.get("x-quality-reason") ?? undefined,
  };
}

async function streamed(run) {
  const { path, json } = run.request;
  const events = stream(path, {
    json,
    signal: run.abort.signal,
    onResponse: (response) => hear(run, response),
    onComment: (text) => {
      run.phase = text;
      draw(run);
    },
  });
  for await (const { data } of events) {
    for (const index of run.answering.add(data)) if (!run.ids[index]) addChoice(run, index);
    draw(run);
    if (performance.now() - run.saved > SAVED_EVERY) keepPieces(run);
  }
  if (!run.answering.choices.some((one) => one.finish)) throw new ApiError("The answer broke off.", run.told);
}

async function whole(run) {
  const { path, json } = run.request;
  const response = await send("POST", path, { json, signal: run.abort.signal });
  hear(run, response);
  run.answering.take(await read(response));
  run.answering.choices.forEach((_, index) => {
    if (!run.ids[index]) addChoice(run, index);
  });
}

/** Of several answers to one request, one more: a branch beside the first. */
function addChoice(run, index) {
  const id = newId();
  run.ids[index] = id;
  update(run.chat, (now) => ({ ...now, tree: add(now.tree, blank(run, id), []) }));
  live.set(id, signal(pieces(run, index)));
}

/** What there is of a choice. A new object each time: what is shown is drawn anew for it. */
function pieces({ answering, onto, phase }, index) {
  const one = answering.choices[index];
  return {
    content: (onto?.content ?? "") + (one?.content ?? ""),
    reasoning: one?.reasoning || onto?.reasoning || "",
    calls: (one?.calls ?? []).filter(Boolean),
    tokens: one?.tokens && onto?.tokens ? [...onto.tokens, ...one.tokens] : (one?.tokens ?? null),
    finish: one?.finish ?? null,
    usage: answering.usage,
    begun: answering.begun,
    first: answering.first,
    phase,
  };
}

/** Once a frame at most, however fast the pieces come. */
function draw(run) {
  if (run.frame) return;
  run.frame = requestAnimationFrame(() => {
    run.frame = 0;
    run.ids.forEach((id, index) => {
      const shown = live.get(id);
      if (shown) shown.value = pieces(run, index);
    });
  });
}

/** The fields of a message that come from its pieces; those that are empty are left out. */
function fieldsOf(run, index) {
  const { content, reasoning, calls, tokens, finish: reason } = pieces(run, index);
  const fields = { content };
  if (reasoning) fields.reasoning = reasoning;
  if (calls.length) fields.calls = calls.map((call) => ({ ...call }));
  if (tokens) fields.tokens = tokens;
  if (reason) fields.finish = reason;
  return fields;
}

/** The messages of a run with what there is of each. */
function piecesOf(run) {
  const messages = chatOf(run.chat)?.tree.messages ?? {};
  return run.ids.flatMap((id, index) => (messages[id] ? [{ ...messages[id], ...fieldsOf(run, index) }] : []));
}

function keepPieces(run) {
  run.saved = performance.now();
  for (const message of piecesOf(run)) grow(run.chat, message);
}

function finish(run, error) {
  cancelAnimationFrame(run.frame);
  const { answering } = run;
  const { usage } = answering;
  const stopped = error?.name === "AbortError";
  const ended = { ...run.told, unfinished: undefined, stopped: stopped || undefined };
  const { begun, first, last } = answering;
  // Of several answers to one request, the first has the figures of all.
  const figures = {
    usage: usage ?? undefined,
    // An answer that failed is free.
    cost: (error && !stopped ? null : costOf(usage, named(run.request.json.model)?.price)) ?? undefined,
    times: timesOf({ begun, first, last, ended: performance.now() }, usage),
    prompt: answering.prompt ?? undefined,
  };
  if (error && !stopped) ended.error = told(error);
  update(run.chat, (now) => ({
    ...now,
    changed: Date.now(),
    tree: run.ids.reduce(
      (tree, id, index) => change(tree, id, { ...(index ? {} : figures), ...ended, ...fieldsOf(run, index) }),
      now.tree,
    ),
  }));
  for (const id of run.ids) live.delete(id);
  runs.value = runs.peek().filter((one) => one !== run);
  if (stopped) said.value = "Stopped.";
  else if (!error)
    said.value = usage ? `The answer is finished: ${usage.completion_tokens} tokens.` : "The answer is finished.";
  ending.add(run);
  // Of a choice that never came there is no id.
  save(run.chat, run.ids.filter(Boolean)).then(() => {
    ending.delete(run);
    if (!writing.in(run.chat)) letGo(run.chat);
  });
}

/** What is kept of an error. */
function told({ message, param, requestId, retryAfter, status }) {
  return {
    message,
    param: param ?? undefined,
    requestId: requestId ?? undefined,
    retryAfter: retryAfter ?? undefined,
    status,
  };
}
