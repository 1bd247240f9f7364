/** The pictures that were drawn here, in this browser's IndexedDB: they leave it only by a download. */
import { signal } from "../../lib.js";

const NAME = "sagehold.images";
const STORE = "pictures";

/** Newest first; null until they are read. */
export const gallery = signal(null);
/** Why the browser keeps none (a private window, a full disk), or null. They then last until the page is left. */
export const unkept = signal(null);

let opening = null;

function forget() {
  opening = null;
}

function opened() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => {
      // The browser may close it by itself, as when its data are cleared.
      request.result.onclose = forget;
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("Another tab holds the pictures."));
  });
  // What failed once may go well the next time.
  opening.catch(forget);
  return opening;
}

/** Runs `work` on the store, and waits until what it did is written. */
async function within(mode, work) {
  const transaction = (await opened()).transaction(STORE, mode);
  return new Promise((resolve, reject) => {
    const request = work(transaction.objectStore(STORE));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

async function quietly(mode, work) {
  try {
    return await within(mode, work);
  } catch (error) {
    unkept.value = error?.message || "The browser keeps no data for this page.";
    return null;
  }
}

export function sorted(entries) {
  return [...entries].sort((one, other) => other.at - one.at || one.index - other.index);
}

/** Read them all, once. */
export async function readGallery() {
  if (gallery.value) return;
  const found = (await quietly("readonly", (store) => store.getAll())) ?? [];
  // What was drawn while they were being read is among both.
  const newer = gallery.value ?? [];
  gallery.value = sorted([...newer, ...found.filter((one) => newer.every((other) => other.id !== one.id))]);
}

/** Keep a picture. */
export async function keep(entry) {
  gallery.value = sorted([entry, ...(gallery.value ?? []).filter((one) => one.id !== entry.id)]);
  await quietly("readwrite", (store) => store.put(entry));
}

/** Keep a picture anew with what has become known of it, unless it was deleted meanwhile. */
export async function amend(entry) {
  if (gallery.value?.some((one) => one.id === entry.id)) await keep(entry);
}

export async function drop(id) {
  gallery.value = gallery.value.filter((one) => one.id !== id);
  await quietly("readwrite", (store) => store.delete(id));
}

export async function dropAll() {
  gallery.value = [];
  await quietly("readwrite", (store) => store.clear());
}
