/** Accounts. */
import { html } from "../lib.js";

export function Accounts() {
  return html`<p>Accounts</p>`;
}
