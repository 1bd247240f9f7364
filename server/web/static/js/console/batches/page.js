/** One batch: how far it has come, why it rests or how it ended, what failed, and its files. */

import { Icon } from "../../components/icon.js";
import { Badge, Empty, Loading, Note, Progress, Stat } from "../../components/states.js";
import { DownloadButton } from "../../download.js";
import { count, credits, moment, number } from "../../format.js";
import { html, useEffect, useRef } from "../../lib.js";
import { isAdmin } from "../../session.js";
import { Said } from "../rows.js";
import { rate } from "../times.js";
import { ActsDone, BatchActs, useActs } from "./acts.js";
import { Failures, WrongLines } from "./failures.js";
import { isLate, paceOf, roughly, timeLeft } from "./pace.js";
import {
  countsOf,
  creditsOf,
  isOver,
  isPaused,
  milestones,
  noteOf,
  progressWords,
  stateKind,
  stateWords,
} from "./states.js";
import { contentOf, isOwn } from "./wire.js";

/** found: as of wire.js, with what was `seen` of its pace. */
export function BatchPage({ id, found, busy, onChanged }) {
  const batch = found.rows.find((one) => one.id === id);
  return html`<p><a class="accounts-back" href="#batches"><${Icon} name="left" />All batches</a></p>
    ${
      batch
        ? html`<${Shown} batch=${batch} found=${found} onChanged=${onChanged} />`
        : busy
          ? html`<${Loading} label="Loading the batch" />`
          : html`<${Empty} icon="search" title="There is no such batch"><p>It may be another account’s, or be forgotten: a batch that has ended is kept for 30 days, and for as long as its files.</p></${Empty}>`
    }`;
}

function Shown({ batch, found, onChanged }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  const { at, seen } = found;
  const own = isOwn(batch);
  const acts = useActs(onChanged);
  const file = (fileId, name, label, kind) =>
    fileId &&
    own &&
    html`<${DownloadButton} key=${fileId} path=${contentOf(fileId)} name=${`${batch.id}-${name}.jsonl`} label=${label} kind=${kind} />`;
  return html`
    <div class="card-head">
      <h2 tabindex="-1" ref=${heading} class="batches-id"><code>${batch.id}</code> <${Badge} kind=${stateKind(batch)}>${stateWords(batch)}</${Badge}></h2>
      <div class="actions">
        ${file(batch.output_file_id, "output", "Download output", "main")}
        ${file(batch.error_file_id, "errors", "Download errors")}
        <${BatchActs} batch=${batch} acts=${acts} />
      </div>
    </div>
    <${ActsDone} acts=${acts} />
    <p class="visually-hidden" role="status">${`The batch is ${stateWords(batch)}.`}</p>
    <${Far} batch=${batch} seen=${seen} at=${at} />
    <${Standing} batch=${batch} own=${own} />
    <${Facts} batch=${batch} />
    <${WrongLines} batch=${batch} />
    <${Failed} batch=${batch} own=${own} />
  `;
}

/** How far it has come, and how it goes on. */
function Far({ batch, seen, at }) {
  const { total, done } = countsOf(batch);
  if (!total && isOver(batch)) return null;
  const pace = paceOf(seen, batch, at);
  const left = timeLeft(seen, batch, at);
  return html`<div class="card batches-far">
    <div class="card-head">
      <strong>${progressWords(batch)}</strong>
      ${left !== null && html`<span class="hint">${rate(pace)} a second, about ${roughly(left)} left</span>`}
    </div>
    <${Progress} label="Requests that are answered" value=${total ? done : null} most=${total || 1} />
    ${isLate(seen, batch, at) && html`<p class="hint">At this pace it will not be done before it expires, at ${moment(batch.expires_at)}. What is answered by then stays.</p>`}
  </div>`;
}

function Standing({ batch, own }) {
  const note = noteOf(batch);
  if (!note) return null;
  const paused = isPaused(batch) ? batch.paused : null;
  // Of a pause by hand the server has no more to say than stands here.
  const message = paused?.reason === "user" ? null : paused?.message;
  return html`<${Note} kind=${note.kind}>
    <strong>${note.title}</strong>
    <span>${note.text}</span>
    ${paused && html`<span>${message && html`<${Said}>${message}</${Said}>${" "}`}Since ${moment(paused.since)}.</span>`}
    ${paused?.reason === "insufficient_credits" && isAdmin.value && batch.account && html`<a href=${`#accounts/${batch.account.id}`}>Give credits to ${batch.account.name}</a>`}
    ${paused?.reason === "insufficient_credits" && !isAdmin.value && html`<span>An operator of this server gives credits. <a href="#own">What the account has</a></span>`}
    ${paused?.reason === "model_unavailable" && isAdmin.value && html`<a href="#models">See what is wrong with the model</a>`}
    ${isOver(batch) && !own && batch.output_file_id && html`<span>Only keys of the account can read its files.</span>`}
  </${Note}>`;
}

function Facts({ batch }) {
  const { usage, metadata } = batch;
  const cost = creditsOf(batch);
  const more = Object.entries(metadata ?? {});
  return html`<dl class="stats card">
      <${Stat} label="Model" value=${html`<span class="accounts-fact"><${Said}>${batch.model ?? "–"}</${Said}></span>`} hint=${batch.endpoint} />
      ${isAdmin.value && batch.account && html`<${Stat} label="Account" value=${html`<a class="accounts-fact" href=${`#accounts/${batch.account.id}`}><${Said}>${batch.account.name || batch.account.id}</${Said}></a>`} />`}
      ${cost !== null && html`<${Stat} label="Cost" value=${credits(cost)} hint="credits" />`}
      ${
        usage?.total_tokens > 0 &&
        html`<${Stat} label="Tokens read" value=${number(usage.input_tokens)} hint=${usage.input_tokens_details?.cached_tokens ? `${number(usage.input_tokens_details.cached_tokens)} of them cached` : undefined} />
          <${Stat} label="Tokens written" value=${number(usage.output_tokens)} hint=${usage.output_tokens_details?.reasoning_tokens ? `${number(usage.output_tokens_details.reasoning_tokens)} of them reasoning` : undefined} />`
      }
      ${!isOver(batch) && batch.expires_at && html`<${Stat} label="Expires" value=${html`<span class="accounts-fact">${moment(batch.expires_at)}</span>`} hint=${`has ${batch.completion_window}`} />`}
      ${more.map(([name, value]) => html`<${Stat} key=${name} label=${html`<${Said}>${name}</${Said}>`} value=${html`<span class="accounts-fact"><${Said}>${value}</${Said}></span>`} />`)}
    </dl>
    <p class="hint batches-way">${milestones(batch).map(([words, at]) => html`<span key=${words}>${words} ${moment(at)}</span>`)}</p>`;
}

/** The failed requests, where their file can be read. */
function Failed({ batch, own }) {
  const { failed } = countsOf(batch);
  if (batch.error_file_id && own) return html`<${Failures} key=${batch.error_file_id} fileId=${batch.error_file_id} />`;
  if (!failed || batch.status === "failed") return null;
  return html`<p class="hint">${
    own
      ? `Why ${count(failed, "request")} failed can be read here once the batch is over.`
      : `Why ${count(failed, "request")} failed stands in the account’s own file of errors.`
  }</p>`;
}
