/** Embeddings. */
import { Workbench } from "../components/workbench.js";
import { html } from "../lib.js";

export function Embeddings() {
  return html`<${Workbench} settings=${html`<p>Settings</p>`} request=${null}><p>Embeddings</p></${Workbench}>`;
}
