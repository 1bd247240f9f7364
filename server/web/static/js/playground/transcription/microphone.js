/** The microphone's place in the form: begin, see that something is heard, end or discard. */
import { Button } from "../../components/button.js";
import { Note } from "../../components/states.js";
import { html } from "../../lib.js";
import { elapsed, finish, LEVELS, levels, obstacle, record, state } from "./recorder.js";
import { position } from "./timing.js";

/** Seconds after which silence is remarked upon, and the level below which it is silence. */
const PATIENCE = 3;
const SILENCE = 0.08;

/** The button that begins. */
export function RecordButton({ onFile }) {
  return html`<${Button} icon="mic" busy=${state.value === "asking"} onClick=${() => record(onFile)}>
    ${state.value === "asking" ? "Allow the microphone" : "Record"}
  </${Button}>`;
}

/** Why there is no microphone. */
export function Obstacle() {
  return obstacle.value && html`<div role="alert"><${Note} kind="warn">${obstacle.value}</${Note}></div>`;
}

/** While it records. */
export function Recording() {
  const silent = elapsed.value > PATIENCE && Math.max(...levels.value) < SILENCE;
  return html`<section class="card hear-recording" aria-label="Recording">
    <p class="hear-time"><span class="hear-dot" aria-hidden="true"></span><span>Recording</span> <b role="timer">${position(elapsed.value)}</b></p>
    <${Levels} />
    ${silent && html`<p class="hint" role="status">Nothing is heard. Is the microphone muted?</p>`}
    <div class="actions start">
      <${Button} kind="main" icon="stop" onClick=${() => finish(true)}>Stop and keep</${Button}>
      <${Button} icon="trash" onClick=${() => finish(false)}>Discard</${Button}>
    </div>
  </section>`;
}

function Levels() {
  const shown = levels.value;
  const start = LEVELS - shown.length;
  return html`<svg class="hear-levels" viewBox=${`0 0 ${LEVELS * 4} 40`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
    ${shown.map((level, at) => {
      const height = Math.max(1, level * 40);
      return html`<rect key=${at} x=${(start + at) * 4} y=${(40 - height) / 2} width="2.5" height=${height} />`;
    })}
  </svg>`;
}
