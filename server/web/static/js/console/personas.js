/** Personas. */
import { html } from "../lib.js";

export function Personas() {
  return html`<p>Personas</p>`;
}
