/** How far a file is on its way to the server. */
import { Button } from "../../components/button.js";
import { Progress } from "../../components/states.js";
import { bytes } from "../../format.js";
import { html } from "../../lib.js";

/** sent: [bytes that are sent, bytes that there are], or null before the first. onStop: it shall not be sent. */
export function UploadBar({ name, sent, onStop }) {
  const [done, total] = sent ?? [0, 0];
  const whole = total > 0 && done >= total;
  return html`<div class="files-upload">
    <div class="card-head">
      <span class="files-name">${name}</span>
      <span class="hint" role="status">${whole ? "It is being stored" : total ? `${bytes(done)} of ${bytes(total)}` : "Sending"}</span>
      <${Button} small icon="close" onClick=${onStop}>Stop</${Button}>
    </div>
    <${Progress} label=${`Sending ${name}`} value=${total && !whole ? done : null} most=${total || 1} />
  </div>`;
}
