/** Chat. */
import { Workbench } from "../components/workbench.js";
import { html } from "../lib.js";

export function Chat() {
  return html`<${Workbench} settings=${html`<p>Settings</p>`} request=${null}><p>Chat</p></${Workbench}>`;
}
