/** Usage. */
import { html } from "../lib.js";

export function Usage() {
  return html`<p>Usage</p>`;
}
