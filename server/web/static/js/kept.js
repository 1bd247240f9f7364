/** Values that outlive the page: a form's settings, in this browser's local storage. Never a key. */
import { effect, signal } from "./lib.js";

const kind = (value) => (Array.isArray(value) ? "array" : value === null ? "null" : typeof value);

/** A signal that begins with what was kept under `name`, and is kept whenever it changes. Objects gain the fields of `standard`
 * that an older version of the page did not know. */
export function kept(name, standard) {
  const place = `sagehold.${name}`;
  let first = standard;
  try {
    const found = JSON.parse(localStorage.getItem(place));
    if (kind(found) === kind(standard)) first = kind(standard) === "object" ? { ...standard, ...found } : found;
  } catch {
    // Nothing was kept, or nothing that can be read.
  }
  const value = signal(first);
  effect(() => {
    const text = JSON.stringify(value.value);
    try {
      localStorage.setItem(place, text);
    } catch {
      // Then it lasts until the page is left.
    }
  });
  return value;
}

/** A signal of the part of the URL behind #: the tab that is open, so that it can be linked to. known: its values, the
 * first of which stands for all others. */
export function place(known) {
  const read = () => {
    const word = location.hash.slice(1).split("/")[0];
    return known.includes(word) ? word : known[0];
  };
  const value = signal(read());
  addEventListener("hashchange", () => {
    value.value = read();
  });
  effect(() => {
    if (read() !== value.value || !location.hash) history.replaceState(null, "", `#${value.value}`);
  });
  return value;
}
