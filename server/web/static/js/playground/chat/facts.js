/** What stands below an answer: tokens, credits, times, how it was made. */
import { Badge } from "../../components/states.js";
import { credits, number, seconds } from "../../format.js";
import { html } from "../../lib.js";

const ENDS = {
  length: "cut off at its limit",
  content_filter: "held back",
};

/** usage: as the API has it. */
export function Facts({ message }) {
  const { usage, cost, times, finish, stopped, model, quality } = message;
  const mode = usage?.quality?.mode ?? (quality === "auto" ? null : quality);
  const facts = [];
  if (usage) {
    const cached = usage.prompt_tokens_details?.cached_tokens;
    const reasoned = usage.completion_tokens_details?.reasoning_tokens;
    facts.push([
      "Tokens",
      `${number(usage.prompt_tokens)} + ${number(usage.completion_tokens)} tokens`,
      `Prompt and answer${cached ? `; ${number(cached)} of the prompt from the cache` : ""}${reasoned ? `; ${number(reasoned)} of the answer are reasoning` : ""}`,
    ]);
  }
  if (cost) {
    facts.push([
      "Credits",
      `${credits(cost.amount)} credits`,
      cost.paid ? "Paid by the account" : "Reckoned by the model's prices",
    ]);
  }
  if (times?.toFirst !== null && times?.toFirst !== undefined)
    facts.push(["Time to first token", `${seconds(times.toFirst)} to first token`, "As this page saw it"]);
  if (times?.rate) {
    facts.push(["Speed", `${number(times.rate, times.rate < 10 ? 1 : 0)} tokens/s`, `${seconds(times.total)} in all`]);
  }
  return html`<div class="chat-facts">
    ${model && html`<strong>${model}</strong>`}
    ${mode && html`<${Badge} kind="faint">${mode}</${Badge}>`}
    ${facts.map(([name, shown, hint]) => html`<span key=${name} title=${hint}><span class="visually-hidden">${name}: </span>${shown}</span>`)}
    ${finish && ENDS[finish] && html`<${Badge} kind="warn">${ENDS[finish]}</${Badge}>`}
    ${stopped && html`<${Badge} kind="warn">stopped</${Badge}>`}
  </div>`;
}

/** The passes of a quality mode, the notes on them, and the drafts that were made; nothing for one plain pass. */
export function HowMade({ usage, reason }) {
  const quality = usage?.quality;
  if (!quality) return null;
  const drafts = quality.drafts ?? [];
  const notes = (quality.notes ?? []).filter((note) => !reason?.includes(note));
  if (quality.passes <= 1 && quality.candidates <= 1 && !drafts.length) return null;
  return html`<details class="fold chat-fold">
    <summary>How it was made: ${quality.mode}, ${number(quality.passes)} ${quality.passes === 1 ? "pass" : "passes"}${quality.candidates > 1 ? `, ${number(quality.candidates)} drafts` : ""}</summary>
    <div class="stack">
      ${reason && html`<p class="hint">Why this mode: ${reason}</p>`}
      ${notes.length ? html`<ul class="chat-notes">${notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>` : null}
      <div class="table-place" role="region" aria-label="Tokens of each pass" tabindex="0">
        <table>
          <thead><tr><th scope="col">Pass</th><th scope="col" class="number">Prompt tokens</th><th scope="col" class="number">Written tokens</th></tr></thead>
          <tbody>
            ${quality.tokens_by_pass.map((one, at) => html`<tr key=${at}><td>${one.pass}</td><td class="number">${number(one.prompt_tokens)}</td><td class="number">${number(one.completion_tokens)}</td></tr>`)}
          </tbody>
        </table>
      </div>
      ${drafts.length ? html`<ol role="list" class="chat-drafts">${drafts.map((one, at) => html`<${Draft} key=${at} draft=${one} number=${at + 1} />`)}</ol>` : null}
    </div>
  </details>`;
}

function Draft({ draft, number: at }) {
  const facts = [];
  if (draft.votes) facts.push(`${number(draft.votes)} ${draft.votes === 1 ? "vote" : "votes"}`);
  if (draft.right !== undefined && draft.right !== null) facts.push(`judged right: ${(draft.right * 100).toFixed(0)}%`);
  if (draft.likelihood !== undefined && draft.likelihood !== null)
    facts.push(`likelihood ${draft.likelihood.toFixed(2)}`);
  return html`<li class=${draft.chosen ? "chosen" : undefined}>
    <p class="chat-facts">
      <strong>${draft.pass === "drafts" ? `Draft ${at}` : draft.pass[0].toUpperCase() + draft.pass.slice(1)}</strong>
      ${draft.chosen && html`<${Badge} kind="good">the answer</${Badge}>`}
      ${facts.map((one) => html`<span key=${one}>${one}</span>`)}
    </p>
    <p class="chat-plain">${draft.text}</p>
  </li>`;
}
