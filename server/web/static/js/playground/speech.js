/** Speech. */
import { Workbench } from "../components/workbench.js";
import { html } from "../lib.js";

export function Speech() {
  return html`<${Workbench} settings=${html`<p>Settings</p>`} request=${null}><p>Speech</p></${Workbench}>`;
}
