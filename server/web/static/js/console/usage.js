/** What everybody used. */
import { html } from "../lib.js";
import { UsageView } from "./usage/view.js";

export function Usage() {
  return html`<${UsageView} path="/admin/v1/usage" groups=${["model", "account", "key", "task", "day"]} />`;
}
