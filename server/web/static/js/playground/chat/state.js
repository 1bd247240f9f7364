/** The chat that is open, those that are kept, and what is done to them. Outlives the tab of the page that shows them. */
import { kept } from "../../kept.js";
import { effect, signal } from "../../lib.js";
import { SETTINGS } from "./request.js";
import * as shelf from "./shelf.js";
import { EMPTY, merged, show } from "./tree.js";

/** An id that no other chat or message has; its first character is a letter, see transfer.js. */
export const newId = () =>
  `m${Array.from(crypto.getRandomValues(new Uint8Array(9)), (one) => one.toString(36)).join("")}`;

/** The settings of the last chat, which a new one begins with. */
const latest = kept("chat.settings", SETTINGS);
/** The chat that is opened when the page is. */
const last = kept("chat.open", "");
/** What stands in the field and was not sent. */
export const draft = kept("chat.draft", "");

/** The titles of the kept chats, newest first; null before they are read. */
export const titles = signal(null);
/** Why nothing is kept, or null: browsers may refuse it. */
export const unkept = signal(null);
/** The open chat. title: "" as long as it has none; named: whether its reader gave it. */
export const chat = signal(fresh());
/** Chats that are not open and in which answers are being written, by their ids. */
const behind = new Map();

function fresh(settings = latest.peek()) {
  const now = Date.now();
  return { id: newId(), title: "", named: false, created: now, changed: now, settings, tree: EMPTY };
}

export const isEmpty = (one) => !Object.keys(one.tree.messages).length;

/** A chat by its id, as far as it is in memory. */
export function chatOf(id) {
  return chat.peek().id === id ? chat.peek() : behind.get(id);
}

/** Change a chat that is in memory. */
export function update(id, work) {
  if (chat.peek().id === id) chat.value = work(chat.peek());
  else if (behind.has(id)) behind.set(id, work(behind.get(id)));
}

export function set(fields) {
  const settings = { ...chat.peek().settings, ...fields };
  chat.value = { ...chat.peek(), settings };
  latest.value = settings;
  soon();
}

export function setParameter(name, value) {
  set({ parameters: { ...chat.peek().settings.parameters, [name]: value } });
}

export function choose(id, column) {
  update(chat.peek().id, (one) => ({ ...one, tree: show(one.tree, id, column) }));
  soon();
}

// ---------------------------------------------------------------- kept

const others = "BroadcastChannel" in globalThis ? new BroadcastChannel("sagehold.chats") : null;
others?.addEventListener("message", ({ data }) => {
  list();
  if (data === chat.peek().id) reread(data);
});

/** What another tab has added. */
async function reread(id) {
  const found = await shelf.read(id).catch(() => null);
  if (found && chat.peek().id === id) update(id, (one) => ({ ...one, tree: merged(found.tree, one.tree) }));
}

let timer = 0;
/** Keep the open chat before long: while somebody types, each letter is a change. */
function soon() {
  clearTimeout(timer);
  timer = setTimeout(() => save(chat.peek().id), 400);
}

async function attempt(work) {
  try {
    const outcome = await work();
    unkept.value = null;
    return outcome;
  } catch (error) {
    unkept.value = error;
    return null;
  }
}

/** Keep a chat, if there is anything in it. finished: answers that are not written any more. */
export async function save(id, finished = []) {
  const one = chatOf(id);
  if (!one || isEmpty(one)) return;
  await attempt(() => shelf.keep(one, finished));
  await list();
  others?.postMessage(id);
}

export const grow = (id, message) => attempt(() => shelf.keepGrowing(id, message));

const LEFT = "sagehold.chat.left";

/** The page is left, and answers are being written: [chat, message]. IndexedDB would not come to its end any more. */
export function leave(pieces) {
  try {
    if (pieces.length) localStorage.setItem(LEFT, JSON.stringify(pieces));
  } catch {
    // What was kept last is half a second old.
  }
}

async function takeLeft() {
  try {
    const pieces = JSON.parse(localStorage.getItem(LEFT)) ?? [];
    localStorage.removeItem(LEFT);
    for (const [id, message] of pieces) await grow(id, message);
  } catch {
    // A browser that keeps nothing.
  }
}

export async function list() {
  const found = await attempt(shelf.titles);
  titles.value = found ?? titles.peek() ?? [];
}

let begun = null;
/** Read what is kept, once. */
export function begin() {
  begun ??= (async () => {
    await takeLeft();
    await list();
    const id = last.peek();
    if (id && isEmpty(chat.peek()) && titles.peek().some((one) => one.id === id)) await open(id);
    effect(() => {
      last.value = chat.value.id;
    });
  })();
  return begun;
}

/** isWriting: whether answers of a chat are being written. Is set by answering.js. */
export const writing = { in: () => false };

function putBehind() {
  const { id } = chat.peek();
  clearTimeout(timer);
  if (writing.in(id)) behind.set(id, chat.peek());
  return save(id);
}

export async function open(id) {
  if (id === chat.peek().id) return;
  const found = behind.get(id) ?? (await attempt(() => shelf.read(id)));
  if (!found) return;
  putBehind();
  behind.delete(id);
  // What newer versions of this page have added to the settings.
  chat.value = { ...found, settings: { ...SETTINGS, ...found.settings } };
}

/** A new chat with the settings of the open one. */
export function startNew() {
  putBehind();
  chat.value = fresh(chat.peek().settings);
}

/** The chat is not shown, and its answers are finished: nothing needs it in memory. */
export function letGo(id) {
  behind.delete(id);
}

export async function rename(id, title) {
  update(id, (one) => ({ ...one, title, named: true }));
  await attempt(() => shelf.rename(id, title));
  await list();
}

/** Forget a chat. Its answers must not be written any more. */
export async function discard(id) {
  behind.delete(id);
  if (chat.peek().id === id) {
    clearTimeout(timer);
    chat.value = fresh(chat.peek().settings);
  }
  await attempt(() => shelf.discard(id));
  await list();
}

export async function addAll(chats) {
  for (const one of chats) await attempt(() => shelf.keep(one));
  await list();
  if (chats.length) await open(chats[0].id);
}

/** All chats that are kept, with their messages. */
export async function all() {
  await save(chat.peek().id);
  const found = await attempt(shelf.titles);
  const read = await Promise.all((found ?? []).map((one) => attempt(() => shelf.read(one.id))));
  return read.filter(Boolean);
}
