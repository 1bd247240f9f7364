/** The run that is at work or was last: its pictures as they come, and what they took. */
import { ErrorNote, Note, Stat } from "../../components/states.js";
import { credits, seconds } from "../../format.js";
import { html, useEffect, useRef, useState } from "../../lib.js";
import { Waiting as ModelWaiting } from "../waiting.js";
import { run, start } from "./drawing.js";
import { gallery } from "./gallery.js";
import { altOf, Picture, PictureActions, passesOf } from "./picture.js";
import { entryOf, finished, spoken } from "./run.js";

export function Result({ onOpen }) {
  const shown = run.value;
  const place = useRef(null);
  useEffect(() => {
    // On a narrow screen the form may fill all of it.
    const below = place.current.getBoundingClientRect().top > innerHeight - 160;
    if (shown?.state === "running" && below) place.current.scrollIntoView({ block: "center" });
  }, [shown?.id]);
  return html`<div ref=${place}>
    <p class="visually-hidden" role="status">${spoken(shown)}</p>
    ${shown && html`<${Shown} run=${shown} onOpen=${onOpen} />`}
  </div>`;
}

function Shown({ run: { state, error, slots }, run: shown, onOpen }) {
  const there = state === "running" ? slots : slots.filter((slot) => slot.blob);
  return html`<section class="stack" aria-label="Result">
    ${state === "running" && html`<${Waiting} run=${shown} />`}
    ${state === "stopped" && html`<${Note}>You stopped it after ${seconds(shown.seconds)}; ${finished(shown)} of ${slots.length} drawn.</${Note}>`}
    <${ErrorNote} error=${error} onRetry=${start} />
    ${
      there.length > 0 &&
      html`<ul role="list" class=${`images-slots${slots.length === 1 ? " one" : ""}`}>
        ${slots.map((slot, index) => (there.includes(slot) ? html`<${Slot} key=${`${shown.id}-${index}`} run=${shown} index=${index} onOpen=${onOpen} />` : null))}
      </ul>`
    }
    ${state !== "running" && finished(shown) > 0 && html`<${Facts} run=${shown} />`}
  </section>`;
}

function Waiting({ run: { began, model, slots } }) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 200);
    return () => clearInterval(timer);
  }, []);
  const done = slots.filter((slot) => slot.state === "done").length;
  return html`<div class="images-waiting">
    <span><strong>Drawing</strong> ${slots.length > 1 && `${done} of ${slots.length} done, `}<span class="images-clock">${seconds(Math.max(0, now - began) / 1000)}</span></span>
    <${ModelWaiting} model=${model} task="image" />
  </div>`;
}

function Slot({ run: shown, index, onOpen }) {
  const slot = shown.slots[index];
  const { previews, size } = shown.settings;
  if (slot.state === "waiting") {
    const [width, height] = /^\d+x\d+$/.test(size) ? size.split("x") : [1, 1];
    return html`<li class="images-slot" aria-hidden="true"><div class="images-blank skeleton" style=${{ aspectRatio: `${width} / ${height}` }}></div></li>`;
  }
  const entry = { ...entryOf(shown, index), seconds: shown.seconds };
  if (slot.state === "preview") {
    return html`<li class="images-slot preview">
      <${Picture} blob=${slot.blob} size=${slot.size} alt=${`Preview ${slot.partial}: ${altOf(shown)}`} />
      <p class="hint">${shown.state === "running" ? `Preview ${slot.partial} of ${previews}` : "Unfinished"}</p>
    </li>`;
  }
  // It may have been deleted meanwhile.
  if (gallery.value && !gallery.value.some((one) => one.id === entry.id)) return null;
  return html`<li class="images-slot">
    <button type="button" class="images-open" aria-label=${`Show in full: ${altOf(shown)}`} onClick=${() => onOpen(entry.id)}>
      <${Picture} blob=${slot.blob} size=${slot.size} alt="" />
    </button>
    <div class="images-under"><span class="hint">Seed ${slot.seed ?? "–"}</span><${PictureActions} entry=${entry} /></div>
  </li>`;
}

function Facts({ run: { seconds: took, firstAfter, slots, credits: paid, quality, reason } }) {
  return html`<div class="card stack">
    <dl class="stats">
      <${Stat} label="Time" value=${seconds(took)} hint=${firstAfter !== null && firstAfter < took ? `first picture after ${seconds(firstAfter)}` : undefined} />
      <${Stat} label="Credits" value=${paid === null ? "–" : credits(paid)} hint=${paid === null ? "not metered" : slots.length > 1 ? `for ${slots.length} pictures` : undefined} />
      ${quality && html`<${Stat} label="Quality" value=${quality.mode} hint=${passesOf(quality)} />`}
    </dl>
    ${quality && html`<${Passes} quality=${quality} reason=${reason} />`}
  </div>`;
}

/** How the quality mode came to its pictures. */
function Passes({ quality: { mode, tokens_by_pass: passes, notes = [] }, reason }) {
  return html`<details class="fold">
    <summary>How it was made</summary>
    <ul class="images-passes">
      ${reason && html`<li>Quality ${mode}: ${reason}.</li>`}
      ${passes.map((one, at) => html`<li key=${at}>Pass ${at + 1} (${one.pass}): ${one.images === 1 ? "1 picture" : `${one.images ?? 0} pictures`} drawn.</li>`)}
      ${notes.map((note, at) => html`<li key=${`note-${at}`}>${note[0].toUpperCase() + note.slice(1)}.</li>`)}
    </ul>
  </details>`;
}
