/** Live. */
import { html } from "../lib.js";

export function Live() {
  return html`<p>Live</p>`;
}
