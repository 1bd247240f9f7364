/** Transcription: a recording becomes text, whose words light while it is heard. */
import { Button, IconButton } from "../components/button.js";
import { FileDrop } from "../components/field.js";
import { standing } from "../components/model_choice.js";
import { Workbench } from "../components/workbench.js";
import { bytes, seconds } from "../format.js";
import { html, useEffect, useRef } from "../lib.js";
import { mayInfer } from "../session.js";
import { Obstacle, RecordButton, Recording } from "./transcription/microphone.js";
import { Player } from "./transcription/player.js";
import { finish, state } from "./transcription/recorder.js";
import { requestOf } from "./transcription/request.js";
import { Result } from "./transcription/result.js";
import { Settings, settings, TASK } from "./transcription/settings.js";
import { phase, recording, stop, take, transcribe } from "./transcription/work.js";

export function Transcription() {
  const audio = useRef(null);
  // Whoever leaves the tab has not asked for a recording that begins or goes on unseen.
  useEffect(() => () => finish(false), []);
  const model = standing(TASK, settings.value.model);
  const begin = () => transcribe(settings.value, model);
  const request = model ? requestOf(settings.value, model, recording.value?.file.name ?? "audio.mp3") : null;
  const source =
    state.value === "on"
      ? html`<${Recording} />`
      : recording.value
        ? html`<${Chosen} audio=${audio} model=${model} onBegin=${begin} />`
        : html`<${Choose} />`;
  return html`<${Workbench} settings=${html`<${Settings} />`} request=${request}>
    ${source}
    ${recording.value && state.value !== "on" && html`<${Result} audio=${audio} model=${model} onAgain=${begin} />`}
  </${Workbench}>`;
}

/** Where a recording comes from. */
function Choose() {
  return html`
    <div class="hear-choose"><${FileDrop}
      label="Choose a recording, or drop it here"
      hint="mp3, wav, m4a, ogg, flac, webm, mp4 and others"
      accept="audio/*,video/*,.m4a,.flac,.ogg,.opus,.webm,.mp4"
      onFiles=${([file]) => take(file)}
    >
      <span class="hint">or</span>
      <${RecordButton} onFile=${take} />
    </${FileDrop}></div>
    <${Obstacle} />
  `;
}

/** The recording that is there. */
function Chosen({ audio, model, onBegin }) {
  const { file, duration } = recording.value;
  const working = phase.value === "sending" || phase.value === "listening";
  // Another file that is dropped here takes its place; the browser itself would leave the page and show it.
  const over = (event) => event.preventDefault();
  const dropped = (event) => {
    event.preventDefault();
    const [other] = event.dataTransfer.files;
    if (other) take(other);
  };
  return html`<section class="card stack hear-chosen" aria-label="Recording" onDragOver=${over} onDrop=${dropped}>
    <div class="hear-name">
      <div>
        <strong>${file.name}</strong>
        <span class="hint">${bytes(file.size)}${duration ? ` · ${seconds(duration)}` : ""}</span>
      </div>
      <${IconButton} label="Remove the recording" icon="close" onClick=${() => take(null)} />
    </div>
    <${Player} audio=${audio} />
    <div class="actions start">
      ${
        working
          ? html`<${Button} icon="stop" onClick=${stop}>Stop</${Button}>`
          : html`<${Button} kind=${phase.value === "done" ? "plain" : "main"} disabled=${!model || !mayInfer.value} onClick=${onBegin}>${phase.value === "idle" ? "Transcribe" : "Transcribe again"}</${Button}>`
      }
    </div>
  </section>`;
}
