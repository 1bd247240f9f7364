/** What came of a recording: how far it is, the text, its facts, and the text as files. */
import { Button, CopyButton } from "../../components/button.js";
import { ErrorNote, Note, Progress, Stat } from "../../components/states.js";
import { bytes, credits, number, seconds } from "../../format.js";
import { html } from "../../lib.js";
import { download, renamed } from "../download.js";
import { Waiting } from "../waiting.js";
import { TASK } from "./settings.js";
import { asSrt, asText, asVtt } from "./subtitles.js";
import { Transcript } from "./transcript.js";
import { answer, error, phase, recording, segments, times, upload } from "./work.js";

const FILES = [
  ["srt", "application/x-subrip", (whole) => asSrt(whole.segments)],
  ["vtt", "text/vtt", (whole) => asVtt(whole.segments)],
  ["txt", "text/plain", (whole) => asText(whole.text)],
  ["json", "application/json", (whole) => JSON.stringify(whole, null, 2)],
];

/** audio: a ref of the element that plays it; model: what listens; onAgain: send it once more. */
export function Result({ audio, model, onAgain }) {
  const live = phase.value === "sending" || phase.value === "listening";
  const heard = segments.value;
  return html`
    ${live && html`<${HowFar} model=${model} />`}
    <${ErrorNote} error=${error.value} onRetry=${error.value?.status === 413 ? undefined : onAgain}>
      ${error.value?.status === 413 && html`<p>The file is too large for this server. Send it in parts, or as mp3.</p>`}
    </${ErrorNote}>
    ${phase.value === "stopped" && html`<${Note}>Stopped. ${heard.length ? "What was heard until then is below; that much is paid." : "Nothing was heard."}</${Note}>`}
    ${
      heard.length > 0 &&
      html`<section class="card stack" aria-label="Transcript">
        <${Transcript} segments=${heard} audio=${audio} live=${live} />
        ${answer.value && html`<${Facts} /><${Files} />`}
      </section>`
    }
    ${answer.value && !heard.length && html`<${Note}>No speech was found in this recording.</${Note}>`}
    <p class="visually-hidden" role="status">${{ done: "The transcript is ready.", stopped: "Stopped." }[phase.value] ?? ""}</p>
  `;
}

function HowFar({ model }) {
  if (phase.value === "sending") {
    const { sent, all } = upload.value ?? { sent: 0, all: recording.value.file.size };
    return html`<div class="card hear-far" role="status">
      <p>Sending the recording</p>
      <${Progress} label="Sent" value=${sent} most=${all} />
      <p class="hint">${bytes(sent)} of ${bytes(all)}</p>
    </div>`;
  }
  const until = segments.value.at(-1)?.end ?? 0;
  const { duration } = recording.value;
  const known = duration && until > 0;
  return html`<div class="card hear-far">
    <p role="status">Listening</p>
    <${Progress} label="Heard so far" value=${known ? Math.min(until, duration) : null} most=${known ? duration : 1} />
    <p class="hint">${known ? `${seconds(until)} of ${seconds(duration)}` : "The first words come soon."}</p>
    ${!known && html`<${Waiting} model=${model} task=${TASK} />`}
  </div>`;
}

function Facts() {
  const { duration, language, usage } = answer.value;
  const { work, first } = times.value;
  return html`<dl class="stats">
    <${Stat} label="Recording" value=${seconds(duration)} hint=${language} />
    <${Stat} label="Work" value=${seconds(work)} hint=${`${number(duration / work, 1)} × real time`} />
    ${first !== null && html`<${Stat} label="First words after" value=${seconds(first)} />`}
    ${usage.credits !== undefined && html`<${Stat} label="Credits" value=${credits(usage.credits)} hint=${`${number(usage.seconds)} s billed`} />`}
    <${Stat} label="Quality" value=${usage.quality.mode} hint=${usage.quality.passes > 1 ? `${usage.quality.passes} passes` : "1 pass"} />
  </dl>`;
}

function Files() {
  const save = (ending, type, make) =>
    download(make(answer.value), renamed(recording.value.file.name, ending), `${type};charset=utf-8`);
  return html`<div class="actions start" role="group" aria-label="Transcript as a file">
    <${CopyButton} kind="plain" text=${() => answer.value.text} label="Copy text" />
    ${FILES.map(
      ([ending, type, make]) =>
        html`<${Button} key=${ending} small icon="download" aria-label=${`Download ${ending}`} onClick=${() => save(ending, type, make)}>${ending}</${Button}>`,
    )}
  </div>`;
}
