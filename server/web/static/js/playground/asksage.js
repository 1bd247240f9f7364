/** Ask Sage. */
import { Workbench } from "../components/workbench.js";
import { html } from "../lib.js";

export function AskSage() {
  return html`<${Workbench} settings=${html`<p>Settings</p>`} request=${null}><p>Ask Sage</p></${Workbench}>`;
}
