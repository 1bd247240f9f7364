/** Images. */
import { Workbench } from "../components/workbench.js";
import { html } from "../lib.js";

export function Images() {
  return html`<${Workbench} settings=${html`<p>Settings</p>`} request=${null}><p>Images</p></${Workbench}>`;
}
