/** Everybody's datasets: whose they are, what is in them, where ingestion stands; searched, retried, deleted. */
import { Answer, useAgain, useAsked } from "../asked.js";
import { TextField } from "../components/field.js";
import { Badge, Empty, Stat } from "../components/states.js";
import { Table } from "../components/table.js";
import { moment, number } from "../format.js";
import { get } from "../http.js";
import { html, useState } from "../lib.js";
import { key } from "../session.js";
import { Opened } from "./knowledge/dataset.js";
import { matching, open } from "./knowledge/overseen.js";

const SOON = 2_000;

export function Datasets() {
  const asked = useAsked(async (signal) => (await get("/admin/v1/datasets", { signal })).data, [key.value]);
  useAgain(asked, (found) => found.some((one) => open(one) > 0), SOON);
  return html`<${Answer} asked=${asked} label="Loading the datasets">
    ${(found) => html`<${Found} found=${found} onChange=${asked.again} />`}
  </${Answer}>`;
}

function Found({ found, onChange }) {
  const [words, setWords] = useState("");
  const [chosen, setChosen] = useState("");
  if (!found.length) {
    return html`<${Empty} icon="file" title="No datasets yet">
      <p>Whoever has a key makes them in the playground, under Ask Sage; or on the server's machine: <code>sagehold datasets create</code></p>
    </${Empty}>`;
  }
  const dataset = found.find(({ id }) => id === chosen);
  if (dataset)
    return html`<${Opened} key=${dataset.id} dataset=${dataset} onBack=${() => setChosen("")} onChange=${onChange} />`;
  return html`
    <dl class="stats">
      <${Stat} label="Datasets" value=${number(found.length)} />
      <${Stat} label="Documents" value=${number(sum(found, (one) => one.documents))} />
      <${Stat} label="Passages" value=${number(sum(found, (one) => one.passages))} />
      <${Stat} label="Being read" value=${number(sum(found, open))} />
      <${Stat} label="Failed documents" value=${number(sum(found, (one) => one.states.failed))} />
    </dl>
    <${TextField} label="Find by name or account" value=${words} onValue=${setWords} type="search" />
    <${Table}
      label="Datasets"
      rows=${matching(found, words)}
      empty=${html`<${Empty} icon="search" title="None of that name"><p>Names of datasets and of their accounts are searched.</p></${Empty}>`}
      columns=${[
        {
          title: "Dataset",
          wide: true,
          cell: (one) =>
            html`<button type="button" class="knowledge-open" onClick=${() => setChosen(one.id)}>${one.name}</button>`,
        },
        { title: "Account", wide: true, cell: (one) => one.owner.name },
        { title: "Documents", number: true, cell: (one) => number(one.documents) },
        { title: "Passages", number: true, cell: (one) => number(one.passages) },
        { title: "State", cell: (one) => html`<${Standing} dataset=${one} />` },
        { title: "Shared with", number: true, cell: (one) => number(one.shared_with) },
        { title: "Created", cell: (one) => moment(one.created_at) },
      ]}
    />
  `;
}

function Standing({ dataset }) {
  const { failed } = dataset.states;
  const under = open(dataset);
  return html`<span class="knowledge-states">
    ${under > 0 && html`<${Badge} kind="info">${`${number(under)} being read`}</${Badge}>`}
    ${failed > 0 && html`<${Badge} kind="bad">${`${number(failed)} failed`}</${Badge}>`}
    ${under === 0 && failed === 0 && html`<${Badge} kind=${dataset.documents ? "good" : "faint"}>${dataset.documents ? "ready" : "empty"}</${Badge}>`}
  </span>`;
}

const sum = (rows, of) => rows.reduce((total, row) => total + of(row), 0);
