/** Models: where each stands, the memory that they hold, and their load, unload and probe by hand. */
import { SelectField, TextField } from "../components/field.js";
import { Empty, ErrorNote, Loading, MemoryBar, Stat } from "../components/states.js";
import { number } from "../format.js";
import { html, useEffect, useState } from "../lib.js";
import { ModelCard } from "./models/card.js";
import { failure, listing, news, refresh, watch } from "./models/listing.js";
import { Missing } from "./models/missing.js";
import { devicesOf, wordOf } from "./models/moves.js";
import { matches } from "./rows.js";

/** With more models than these, there is a way to find one. */
const AT_A_GLANCE = 8;

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
        ? html`<${Installed} models=${installed} />`
        : html`<${Empty} title="No model is installed">
          <p>On the server's machine, <code>scripts/models</code> brings the starter models.</p>
        </${Empty}>`
    }
    <${Missing} models=${found.data.filter((model) => model.state === "not_installed")} />
  </div>`;
}

function Installed({ models }) {
  const [search, setSearch] = useState("");
  const [state, setState] = useState("");
  const many = models.length > AT_A_GLANCE;
  // A state that is gone can't be chosen any more: then all are shown, as the field says.
  const states = [...new Set(models.map((model) => model.state))].sort();
  const chosen = states.includes(state) ? state : "";
  const shown = many
    ? models
        .filter((model) => !chosen || model.state === chosen)
        .filter((model) => matches(search, [model.id, model.engine, ...model.tasks, ...model.names]))
    : models;
  return html`<section class="stack" aria-label="Installed models">
    ${
      many &&
      html`<div class="row">
        <${TextField} label="Search" type="search" placeholder="Name, task or engine" value=${search} onValue=${setSearch} />
        <${SelectField} label="State" value=${chosen} onValue=${setState} options=${[["", "All"], ...states.map((one) => [one, wordOf(one)])]} />
      </div>
      <p class="hint" role="status">${shown.length === models.length ? `${models.length} models` : `${shown.length} of ${models.length} models`}</p>`
    }
    ${
      shown.length
        ? html`<div class="ops-models">${shown.map((model) => html`<${ModelCard} key=${model.id} model=${model} />`)}</div>`
        : html`<${Empty} icon="search" title="No model matches"><p>Search for something else, or choose another state.</p></${Empty}>`
    }
  </section>`;
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
