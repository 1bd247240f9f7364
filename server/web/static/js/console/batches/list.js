/** The batches as a table, with what can be done to each. */
import { Button } from "../../components/button.js";
import { SelectField, TextField } from "../../components/field.js";
import { Badge, Empty, Progress } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { count, credits } from "../../format.js";
import { html, useState } from "../../lib.js";
import { isAdmin, mayInfer } from "../../session.js";
import { matches, Said } from "../rows.js";
import { ActsDone, BatchActs, useActs } from "./acts.js";
import { roughly, timeLeft } from "./pace.js";
import { Sample } from "./sample_view.js";
import { countsOf, creditsOf, isOver, progressWords, stateKind, stateWords } from "./states.js";

/** found: as of wire.js, with what was `seen` of their pace. */
export function BatchList({ found, onChanged, onCreate, onOlder }) {
  const [search, setSearch] = useState("");
  const [state, setState] = useState("");
  const { rows, more, at, seen } = found;
  const acts = useActs(onChanged);
  const create = mayInfer.value && html`<${Button} kind="main" icon="plus" onClick=${onCreate}>New batch</${Button}>`;
  if (!rows.length) return html`<${None} create=${create} />`;
  const states = [...new Set(rows.map(stateWords))].sort();
  const chosen = states.includes(state) ? state : "";
  const shown = rows
    .filter((batch) => !chosen || stateWords(batch) === chosen)
    .filter((batch) => matches(search, wordsOf(batch)));
  return html`
    <div class="row">
      <${TextField} label="Search what is shown" type="search" placeholder=${`Id, model${isAdmin.value ? ", account" : ""} or metadata`} value=${search} onValue=${setSearch} />
      <${SelectField} label="State" value=${chosen} onValue=${setState} options=${[["", "All"], ...states]} />
      ${create}
    </div>
    <p class="hint" role="status">${shown.length === rows.length ? (more ? `The ${rows.length} newest batches` : count(rows.length, "batch", "batches")) : `${shown.length} of the ${rows.length} newest batches`}</p>
    <${ActsDone} acts=${acts} />
    <${Table}
      label="Batches"
      rows=${shown}
      empty=${html`<${Empty} icon="search" title="No batch matches"><p>${more ? "Older ones can be brought in below." : "Search for something else, or choose another state."}</p></${Empty}>`}
      columns=${[
        { title: "Batch", cell: (batch) => html`<${Name} batch=${batch} at=${at} />` },
        { title: "State", cell: (batch) => html`<${Standing} batch=${batch} left=${timeLeft(seen, batch, at)} />` },
        { title: "Requests", cell: (batch) => html`<${Far} batch=${batch} />` },
        {
          title: "Model",
          cell: ({ model, endpoint }) =>
            html`<span class="batches-name"><${Said}>${model ?? "–"}</${Said}><span class="hint">${endpoint}</span></span>`,
        },
        isAdmin.value && {
          title: "Account",
          cell: ({ account }) =>
            account
              ? html`<a href=${`#accounts/${account.id}`}><${Said}>${account.name || account.id}</${Said}></a>`
              : "–",
        },
        {
          title: "Credits",
          number: true,
          cell: (batch) => (creditsOf(batch) === null ? "–" : credits(creditsOf(batch))),
        },
        {
          title: "Actions",
          hidden: true,
          cell: (batch) =>
            html`<span class="keys-acts batches-acts"><${BatchActs} batch=${batch} acts=${acts} small /></span>`,
        },
      ].filter(Boolean)}
    />
    ${more && html`<div class="actions start"><${Button} small icon="down" onClick=${onOlder}>Show older</${Button}></div>`}
  `;
}

const wordsOf = ({ id, model, endpoint, account, metadata }) => [
  id,
  model ?? "",
  endpoint,
  account?.name ?? "",
  ...Object.values(metadata ?? {}),
];

function Name({ batch, at }) {
  // Ids are long, and what tells them apart is anywhere in them: the end is shown too.
  const short = batch.id.length > 20 ? `${batch.id.slice(0, 12)}…${batch.id.slice(-4)}` : batch.id;
  return html`<span class="batches-name">
    <a href=${`#batches/${batch.id}`} title=${batch.id}><code>${short}</code></a>
    <span class="hint">${roughly(at - batch.created_at)} old</span>
  </span>`;
}

function Standing({ batch, left }) {
  return html`<span class="batches-name">
    <${Badge} kind=${stateKind(batch)}>${stateWords(batch)}</${Badge}>
    ${left !== null && html`<span class="hint">about ${roughly(left)} left</span>`}
  </span>`;
}

function Far({ batch }) {
  const { total, done } = countsOf(batch);
  const words = progressWords(batch);
  return html`<span class="batches-bar">
    <span>${words}</span>
    ${(total > 0 || !isOver(batch)) && html`<${Progress} label=${`Requests of ${batch.id}: ${words}`} value=${total ? done : null} most=${total || 1} />`}
  </span>`;
}

/** What a batch is, and how to come to one. create: the button, where the key may make one. */
function None({ create }) {
  return html`<${Empty} icon="file" title="No batches yet">
      <p>A batch is a file of many requests, which this server answers whenever it has nothing more urgent to do.</p>
      ${create || html`<p>Keys with the scope <code>inference</code> make them.</p>`}
    </${Empty}>
    ${
      create &&
      html`<section class="stack" aria-labelledby="sample">
        <h2 id="sample">What such a file looks like</h2>
        <p class="hint">Each line is a request, whose answer is found by its custom_id.</p>
        <${Sample} />
      </section>`
    }`;
}
