/** One model: where it stands, what it is, and what can be done to it. */
import { Button } from "../../components/button.js";
import { Badge, ErrorNote, Note, Progress } from "../../components/states.js";
import { bytes, count, number, seconds } from "../../format.js";
import { post } from "../../http.js";
import { html, useState } from "../../lib.js";
import { refresh } from "./listing.js";
import { actsOf, amountsOf, pricesOf, wordOf } from "./moves.js";
import { ProbeReport } from "./probe_report.js";
import { Unload } from "./unload.js";

export const addressOf = (model) => `/admin/v1/models/${encodeURI(model.id)}`;

export function ModelCard({ model }) {
  const [busy, setBusy] = useState("");
  const [error, setError] = useState(null);
  const [report, setReport] = useState(null);
  const [leaving, setLeaving] = useState(false);
  const can = actsOf(model.state);
  const act = async (name, done = () => {}) => {
    setBusy(name);
    setError(null);
    try {
      done(await post(`${addressOf(model)}/${name}`, {}));
    } catch (failed) {
      setError(failed);
    } finally {
      setBusy("");
      refresh();
    }
  };
  const load = () => {
    setReport(null);
    act("load");
  };
  const name = html`<span class="visually-hidden"> ${model.id}</span>`;
  return html`<article class="card stack ops-model" aria-label=${model.id}>
    <div class="card-head">
      <h3 class="ops-model-name">${model.id} <${Badge} kind=${kindOf(model.state)}>${wordOf(model.state)}</${Badge}></h3>
      <div class="actions">
        ${can.probe && html`<${Button} small busy=${busy === "probe"} onClick=${() => act("probe", setReport)}>Probe${name}</${Button}>`}
        ${can.load && html`<${Button} small kind="main" busy=${busy === "load"} onClick=${load}>${model.state === "asleep" ? "Wake" : "Load"}${name}</${Button}>`}
        ${can.unload && html`<${Button} small onClick=${() => setLeaving(true)}>Unload${name}</${Button}>`}
      </div>
    </div>
    <p class="hint">${model.tasks.join(", ")} by ${model.engine}${model.description ? `: ${model.description}` : ""}</p>
    <${Progressing} model=${model} />
    ${model.reason && html`<${Note} kind="bad"><strong>Why it failed</strong><span>${model.reason}</span></${Note}>`}
    ${model.refusal && html`<${Note} kind="warn"><strong>The last load was given up</strong><span>${model.refusal}</span></${Note}>`}
    <${ErrorNote} error=${error} />
    ${report && html`<${ProbeReport} report=${report} onClose=${() => setReport(null)} />`}
    <${Facts} model=${model} />
    ${leaving && html`<${Unload} model=${model} address=${addressOf(model)} onClose=${() => setLeaving(false)} />`}
  </article>`;
}

/** The colour of a state: what is not loaded, and what the badge does not know, is faint. */
function kindOf(state) {
  const known = { ready: "good", loading: "info", draining: "info", failed: "bad" };
  return known[state] ?? "faint";
}

const ending = (running) =>
  running ? `, when its ${count(running, "request")} at work ${running === 1 ? "has" : "have"} ended` : "";

/** How far a change has come, as far as that is known. */
function Progressing({ model }) {
  if (model.state === "draining")
    return html`<div class="stack ops-tight">
      <p class="hint">It is being put away${ending(model.running)}.</p>
      <${Progress} label=${`${model.id} is being put away`} />
    </div>`;
  if (!model.loading) return null;
  return html`<div class="stack ops-tight">
    <p class="hint">Loading: ${model.loading.phase}, ${seconds(model.loading.seconds)} so far</p>
    <${Progress} label=${`${model.id} is loading`} />
  </div>`;
}

function Facts({ model }) {
  const held = amountsOf(model.memory.held);
  const reported = amountsOf(model.memory.reported);
  const prices = pricesOf(model.price);
  return html`<dl class="ops-facts">
      <${Fact} name="Requests">${number(model.running)} of ${number(model.places)} at work, ${number(model.waiting)} waiting</${Fact}>
      <${Fact} name="Memory">${inWords(held)}</${Fact}>
      ${
        // A model that is called by its own name alone needs no list of that.
        model.names.join() !== model.id &&
        html`<${Fact} name="Public names" across><${Names} names=${model.names} /></${Fact}>`
      }
    </dl>
    <details class="fold ops-more">
      <summary>More about ${model.id}</summary>
      <dl class="ops-facts">
        <${Fact} name="Price in credits">${prices.length ? prices.map((one) => html`<span key=${one} class="ops-line">${one}</span>`) : "free"}</${Fact}>
        <${Fact} name="Is loaded">${model.load === "eager" ? "at the server's start" : "by its first request"}</${Fact}>
        <${Fact} name="Memory as the machine reports it">${inWords(reported)}</${Fact}>
        ${model.context && html`<${Fact} name="Context">${number(model.context)} tokens</${Fact}>`}
      </dl>
    </details>`;
}

function inWords(amounts) {
  return amounts.length ? amounts.map(([where, amount]) => `${bytes(amount)} ${where}`).join(", ") : "none";
}

function Fact({ name, across = false, children }) {
  return html`<div class=${across ? "ops-across" : undefined}><dt>${name}</dt><dd>${children}</dd></div>`;
}

const SHOWN = 6;

/** A model may have dozens of names: the first of them, and the others on demand. */
function Names({ names }) {
  const [all, setAll] = useState(false);
  if (!names.length) return "none";
  const shown = all ? names : names.slice(0, SHOWN);
  return html`<span class="ops-names">
    ${shown.map((name) => html`<code key=${name}>${name}</code>`)}
    ${
      names.length > shown.length &&
      html`<${Button} small kind="quiet" onClick=${() => setAll(true)}>and ${names.length - shown.length} more</${Button}>`
    }
  </span>`;
}
