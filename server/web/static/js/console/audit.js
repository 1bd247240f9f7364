/** Audit. */
import { html } from "../lib.js";

export function Audit() {
  return html`<p>Audit</p>`;
}
