/** Speech: a text is read aloud, and heard while it is still being spoken. */
import { Button } from "../components/button.js";
import { TextArea } from "../components/field.js";
import { ErrorNote, Note, Stat } from "../components/states.js";
import { Workbench } from "../components/workbench.js";
import { bytes, count, credits, number, seconds } from "../format.js";
import { html, useEffect } from "../lib.js";
import { mayInfer } from "../session.js";
import { download } from "./download.js";
import { requestOf } from "./speech/request.js";
import { Settings, standingSettings, TASK } from "./speech/settings.js";
import { Transport } from "./speech/transport.js";
import { error, facts, file, phase, player, speak, stop, text } from "./speech/work.js";
import { Waiting } from "./waiting.js";

export function Speech() {
  const { model, values } = standingSettings();
  const speaking = phase.value === "speaking";
  const ready = Boolean(model && mayInfer.value && text.value);
  const begin = () => ready && speak(values, model);
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) begin();
  };
  // Whoever goes elsewhere wants silence there; what is being made goes on.
  useEffect(() => () => player.value?.pause(), []);
  const request = model ? requestOf(values, model, text.value || "Good morning.") : null;
  const side = html`<${Settings} />`;
  return html`<${Workbench} settings=${side} request=${request}>
    <div class="stack say-text">
      <${TextArea}
        label="Text"
        rows=${6}
        value=${text.value}
        onValue=${(value) => {
          text.value = value;
        }}
        error=${error.value?.param === "input" ? error.value.message : undefined}
        hint=${text.value ? count(characters(text.value), "character") : "Write or paste what it should say. Ctrl and Enter begin."}
        onKeyDown=${keys}
      />
      <div class="actions start">
        ${
          speaking
            ? html`<${Button} icon="stop" onClick=${stop}>Stop</${Button}>`
            : html`<${Button} kind="main" icon="sound" disabled=${!ready} onClick=${begin}>${player.value ? "Speak again" : "Speak"}</${Button}>`
        }
      </div>
    </div>
    ${error.value?.param !== "input" && html`<${ErrorNote} error=${error.value} onRetry=${begin} />`}
    <${Spoken} model=${model} />
    <p class="visually-hidden" role="status">${{ done: "All of it is spoken.", stopped: "Stopped." }[phase.value] ?? ""}</p>
  </${Workbench}>`;
}

/** As the server counts: by code points. */
const characters = (value) => [...value].length;

function Spoken({ model }) {
  if (!player.value)
    return phase.value === "stopped" ? html`<${Note}>Stopped before anything was spoken.</${Note}>` : null;
  const made = file.value;
  return html`<section class="card stack" aria-label="Speech">
    ${!player.value.broken.value && html`<${Transport} player=${player.value} />`}
    ${player.value.broken.value && html`<${Note} kind="warn">This browser can't play what came. It can still be downloaded.</${Note}>`}
    ${phase.value === "speaking" && html`<p class="hint" role="status">Being spoken</p>`}
    ${phase.value === "speaking" && !player.value.duration.value && html`<${Waiting} model=${model} task=${TASK} />`}
    ${phase.value === "stopped" && html`<${Note}>Stopped. What was spoken until then can be heard and downloaded; that much is paid.</${Note}>`}
    ${phase.value === "failed" && html`<${Note} kind="warn">It broke off. What had come until then can be heard and downloaded.</${Note}>`}
    <${Facts} />
    ${
      made &&
      html`<div class="actions start">
        <${Button} small icon="download" onClick=${() => download(made.blob, made.name)}>Download ${made.name.split(".").at(-1)}</${Button}>
        <span class="hint">${bytes(made.blob.size)}</span>
      </div>`
    }
  </section>`;
}

function Facts() {
  const { first, work, usage } = facts.value;
  const long = player.value.duration.value;
  return html`<dl class="stats">
    <${Stat} label="First sound after" value=${first === null ? "–" : seconds(first)} />
    <${Stat} label="Speech" value=${long ? seconds(long) : "–"} hint=${work && long ? `${number(long / work, 1)} × real time` : undefined} />
    ${work !== null && html`<${Stat} label="Work" value=${seconds(work)} />`}
    ${usage?.credits !== undefined && html`<${Stat} label="Credits" value=${credits(usage.credits)} hint=${`${count(usage.characters, "character")} billed`} />`}
    ${usage && html`<${Stat} label="Quality" value=${usage.quality.mode} hint=${count(usage.quality.passes, "pass", "passes")} />`}
  </dl>`;
}
