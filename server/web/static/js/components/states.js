/** What stands where there is nothing yet: loading, empty, failed. And small signs: badges, bars, figures. */
import { bytes } from "../format.js";
import { html } from "../lib.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

/** While something is fetched. lines: how many grey lines stand in for it. */
export function Loading({ label = "Loading", lines = 3 }) {
  return html`<div class="loading" role="status">
    <span class="visually-hidden">${label}</span>
    ${Array.from({ length: lines }, (_, at) => html`<span key=${at} class="skeleton" aria-hidden="true"></span>`)}
  </div>`;
}

/** Nothing there: why, and what to do about it (children). */
export function Empty({ icon = "info", title, children }) {
  return html`<div class="empty">
    <${Icon} name=${icon} size=${28} />
    <strong>${title}</strong>
    ${children}
  </div>`;
}

/** A failure in the server's own words, with the request's id for whoever reads its log. */
export function ErrorNote({ error, onRetry, children }) {
  if (!error) return null;
  return html`<div class="note bad" role="alert">
    <${Icon} name="warning" />
    <div>
      <p>${error.message}</p>
      ${
        (error.param || error.requestId) &&
        html`<p class="note-small">
          ${error.param && html`<span>Field: <code>${error.param}</code></span>`}
          ${error.requestId && html`<span>Request: <code>${error.requestId}</code></span>`}
        </p>`
      }
      ${error.retryAfter && html`<p class="note-small">Try again in ${Math.ceil(error.retryAfter)} s.</p>`}
      ${children}
    </div>
    ${onRetry && html`<${Button} small onClick=${onRetry} icon="again">Try again</${Button}>`}
  </div>`;
}

/** kind: info, warn, good, bad. */
export function Note({ kind = "info", children }) {
  return html`<div class=${`note ${kind}`}><${Icon} name=${kind === "warn" || kind === "bad" ? "warning" : "info"} /><div>${children}</div></div>`;
}

const KINDS = {
  ready: "good",
  active: "good",
  done: "good",
  loading: "info",
  draining: "info",
  asleep: "faint",
  unloaded: "faint",
  failed: "bad",
  revoked: "bad",
  expired: "warn",
  closed: "warn",
};

/** A word in a coloured pill; of a state, its colour is known. */
export function Badge({ kind, children }) {
  return html`<span class=${`badge ${kind ?? KINDS[children] ?? "faint"}`}>${children}</span>`;
}

/** value of most, as a bar; null shows that something is at work, but not how far. */
export function Progress({ label, value = null, most = 1 }) {
  return html`<div class="progress">
    <progress aria-label=${label} max=${most} value=${value ?? undefined}></progress>
  </div>`;
}

/** As many names stand below a memory bar; with more holders, the largest do, and the others are folded away. */
const NAMED = 8;

/** Bytes that several hold of one budget. parts: [{name, held}], in a steady order. */
export function MemoryBar({ label, parts, budget }) {
  const total = parts.reduce((sum, part) => sum + part.held, 0);
  const most = Math.max(budget, total, 1);
  const coloured = parts.map((part, at) => ({ ...part, colour: `series-${(at % 6) + 1}` }));
  const largest = new Set([...coloured].sort((one, other) => other.held - one.held).slice(0, NAMED));
  const folded = coloured.filter((part) => !largest.has(part));
  return html`<figure class="memory">
    <figcaption><span>${label}</span><span>${bytes(total)} of ${bytes(budget)}</span></figcaption>
    <svg class="memory-bar" role="img" aria-label=${`${label}: ${bytes(total)} of ${bytes(budget)} held`} viewBox="0 0 1000 20" preserveAspectRatio="none">
      <rect class="memory-ground" width="1000" height="20" />
      ${coloured.map((part, at) => {
        const before = parts.slice(0, at).reduce((sum, one) => sum + one.held, 0);
        return html`<rect key=${part.name} class=${part.colour} x=${(before / most) * 1000} width=${(part.held / most) * 1000} height="20">
          <title>${part.name}: ${bytes(part.held)}</title>
        </rect>`;
      })}
    </svg>
    <${Holders} parts=${coloured.filter((part) => largest.has(part))} />
    ${
      folded.length > 0 &&
      html`<details class="fold memory-others">
        <summary>${folded.length} others <b>${bytes(folded.reduce((sum, part) => sum + part.held, 0))}</b></summary>
        <${Holders} parts=${folded} />
      </details>`
    }
  </figure>`;
}

/** Names and amounts of a memory bar's parts, each with its colour. */
function Holders({ parts }) {
  return html`<ul role="list" class="legend">
    ${parts.map((part) => html`<li key=${part.name}><i class=${part.colour}></i><span>${part.name} <b>${bytes(part.held)}</b></span></li>`)}
  </ul>`;
}

/** A figure with its name. */
export function Stat({ label, value, hint }) {
  return html`<div class="stat">
    <dt>${label}</dt>
    <dd>${value}${hint && html`<small>${hint}</small>`}</dd>
  </div>`;
}
