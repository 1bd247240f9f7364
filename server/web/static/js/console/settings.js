/** SettingsView. */
import { html } from "../lib.js";

export function SettingsView() {
  return html`<p>SettingsView</p>`;
}
