/** Models. */
import { html } from "../lib.js";

export function Models() {
  return html`<p>Models</p>`;
}
