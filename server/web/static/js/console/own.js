/** Own. */
import { html } from "../lib.js";

export function Own() {
  return html`<p>Own</p>`;
}
