/** Models: where each stands, the memory that they hold, and their load, unload and probe by hand. */
import { Empty, ErrorNote, Loading, MemoryBar, Stat } from "../components/states.js";
import { number } from "../format.js";
import { html, useEffect } from "../lib.js";
import { ModelCard } from "./models/card.js";
import { failure, listing, news, refresh, watch } from "./models/listing.js";
import { Missing } from "./models/missing.js";
import { devicesOf } from "./models/moves.js";

export function Models() {
  useEffect(watch, []);
  const found = listing.value;
  if (!found && failure.value) return html`<${ErrorNote} error=${failure.value} onRetry=${refresh} />`;
  if (!found) return html`<${Loading} label="Loading the models" lines=${6} />`;
  const installed = found.data.filter((model) => model.state !== "not_installed");
  return html`<div class="stack ops">
    <p class="visually-hidden" role="status">${news.value}</p>
    ${failure.value && html`<${ErrorNote} error=${failure.value} onRetry=${refresh}><p>What is shown may be out of date.</p></${ErrorNote}>`}
    <${Summary} models=${installed} />
    <section class="card stack" aria-labelledby="memory">
      <h2 id="memory">Memory</h2>
      ${devicesOf(found.memory).map((device) => html`<${MemoryBar} key=${device.label} ...${device} />`)}
    </section>
    ${
      installed.length
        ? html`<section class="ops-models" aria-label="Installed models">
          ${installed.map((model) => html`<${ModelCard} key=${model.id} model=${model} />`)}
        </section>`
        : html`<${Empty} title="No model is installed">
          <p>On the server's machine, <code>scripts/models</code> brings the starter models.</p>
        </${Empty}>`
    }
    <${Missing} models=${found.data.filter((model) => model.state === "not_installed")} />
  </div>`;
}

function Summary({ models }) {
  const of = (state) => models.filter((model) => model.state === state).length;
  const sum = (field) => number(models.reduce((total, model) => total + model[field], 0));
  return html`<dl class="stats">
    <${Stat} label="Ready" value=${`${of("ready")} of ${models.length}`} />
    ${of("loading") > 0 && html`<${Stat} label="Loading" value=${of("loading")} />`}
    ${of("failed") > 0 && html`<${Stat} label="Failed" value=${of("failed")} />`}
    <${Stat} label="Requests at work" value=${sum("running")} />
    <${Stat} label="Requests waiting" value=${sum("waiting")} />
  </dl>`;
}
