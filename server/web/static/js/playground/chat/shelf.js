/**
 * The chats that this browser keeps, in IndexedDB. Three stores: `titles` is what the list shows; `chats` holds the
 * settings and the messages; `growing` the answers that are being written, so that a reload loses nothing of them.
 */
import { merged } from "./tree.js";

const NAME = "sagehold";
const VERSION = 1;
const STORES = ["titles", "chats", "growing"];

let opening = null;

function forget() {
  opening = null;
}

function opened() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      for (const name of STORES) {
        const store = request.result.createObjectStore(name, { keyPath: "id" });
        if (name === "growing") store.createIndex("chat", "chat");
      }
    };
    request.onsuccess = () => {
      const database = request.result;
      // Another tab has a newer version of this page.
      database.onversionchange = () => database.close();
      // The browser may close it by itself, as when its data are cleared.
      database.onclose = forget;
      resolve(database);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("Another tab holds the chats of an older version; close it."));
  });
  // What failed once may go well the next time.
  opening.catch(forget);
  return opening;
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Runs `work` in one transaction over all stores, and returns its outcome once that is written. */
async function transaction(mode, work) {
  const database = await opened();
  const own = database.transaction(STORES, mode);
  const ended = new Promise((resolve, reject) => {
    own.oncomplete = resolve;
    own.onabort = () => reject(own.error);
  });
  // A rejection is heard of below, also where `work` fails first.
  ended.catch(() => {});
  const [titles, chats, growing] = STORES.map((name) => own.objectStore(name));
  const outcome = await work({ titles, chats, growing });
  await ended;
  return outcome;
}

/** All chats without their messages, the one that was changed last first. */
export async function titles() {
  const found = await transaction("readonly", (stores) => done(stores.titles.getAll()));
  return found.sort((one, other) => other.changed - one.changed);
}

/** A chat with its messages, or null. Answers that were being written when the page was left are `stopped`. */
export async function read(id) {
  return transaction("readonly", async ({ titles: heads, chats, growing }) => {
    const [head, rest] = await Promise.all([done(heads.get(id)), done(chats.get(id))]);
    if (!head || !rest) return null;
    const grown = await done(growing.index("chat").getAll(id));
    const messages = { ...rest.tree.messages };
    for (const { message } of grown) if (messages[message.id]?.unfinished) messages[message.id] = message;
    return { ...head, ...rest, tree: { ...rest.tree, messages } };
  });
}

/** Keep a chat. What another tab has added to it meanwhile is kept too. done: ids of answers that are finished. */
export async function keep({ id, title, named, created, changed, settings, tree }, finished = []) {
  await transaction("readwrite", async ({ titles: heads, chats, growing }) => {
    const before = await done(chats.get(id));
    heads.put({ id, title, named, created, changed });
    chats.put({ id, settings, tree: before ? merged(before.tree, tree) : tree });
    for (const one of finished) growing.delete(one);
  });
}

/** Keep what there is of an answer that is being written. */
export async function keepGrowing(chat, message) {
  await transaction("readwrite", ({ growing }) => done(growing.put({ id: message.id, chat, message })));
}

export async function rename(id, title) {
  await transaction("readwrite", async ({ titles: heads }) => {
    const head = await done(heads.get(id));
    if (head) heads.put({ ...head, title, named: true });
  });
}

export async function discard(id) {
  await transaction("readwrite", async ({ titles: heads, chats, growing }) => {
    heads.delete(id);
    chats.delete(id);
    for (const one of await done(growing.index("chat").getAllKeys(id))) growing.delete(one);
  });
}

/** The ids of the chats that have these words in their title or in a message. */
export async function search(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (text) => wanted.every((word) => text.includes(word));
  return transaction("readonly", async ({ titles: heads, chats }) => {
    const named = new Map((await done(heads.getAll())).map((head) => [head.id, head.title]));
    const found = new Set();
    const cursor = chats.openCursor();
    await new Promise((resolve, reject) => {
      cursor.onerror = () => reject(cursor.error);
      cursor.onsuccess = () => {
        const at = cursor.result;
        if (!at) return resolve();
        const texts = Object.values(at.value.tree.messages).map((message) => message.content);
        if (has([named.get(at.key) ?? "", ...texts].join("\n").toLowerCase())) found.add(at.key);
        at.continue();
      };
    });
    return found;
  });
}
