/** Transcription. */
import { Workbench } from "../components/workbench.js";
import { html } from "../lib.js";

export function Transcription() {
  return html`<${Workbench} settings=${html`<p>Settings</p>`} request=${null}><p>Transcription</p></${Workbench}>`;
}
