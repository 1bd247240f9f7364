/** Keys. */
import { html } from "../lib.js";

export function Keys() {
  return html`<p>Keys</p>`;
}
