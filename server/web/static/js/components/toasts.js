/** Short words on what was done, which go by themselves. Failures don't belong here: they stay where they happened. */
import { html, signal } from "../lib.js";

const shown = signal([]);
let next = 0;

/** Say it for some seconds. */
export function toast(text) {
  const id = next++;
  shown.value = [...shown.value, { id, text }];
  setTimeout(() => {
    shown.value = shown.value.filter((one) => one.id !== id);
  }, 4000);
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">${shown.value.map((one) => html`<p key=${one.id}>${one.text}</p>`)}</div>`;
}
