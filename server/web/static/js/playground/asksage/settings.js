/** What an answer is made with: model, persona, datasets, live search. */
import { Checks, SelectField, SliderField } from "../../components/field.js";
import { ModelChoice } from "../../components/model_choice.js";
import { ErrorNote, Loading } from "../../components/states.js";
import { html } from "../../lib.js";
import { mayInfer } from "../../session.js";
import { FROM } from "./question.js";
import {
  change,
  datasets,
  datasetsFailure,
  personas,
  personasFailure,
  refreshDatasets,
  refreshPersonas,
  settings,
} from "./state.js";

const LIVE = [
  ["0", "Off"],
  ["1", "Search results"],
  ["2", "Search results and their pages"],
];

export function Settings() {
  const { model, from, datasets: chosen, references, live, temperature } = settings.value;
  return html`
    <${ModelChoice} task="chat" value=${model} onValue=${(id) => change({ model: id })} />
    <${PersonaChoice} />
    <${SelectField} label="Answer from" value=${from} onValue=${(one) => change({ from: one })} options=${FROM} />
    ${from === "chosen" && html`<${Chosen} value=${chosen} />`}
    <${SliderField}
      label="References"
      hint="Most passages of datasets that an answer draws on. 5 unless you say otherwise."
      min=${0}
      max=${20}
      step=${1}
      standard=${5}
      value=${references}
      onValue=${(one) => change({ references: one })}
    />
    <${SelectField}
      label="Live search"
      hint="In the search engine or the archive that this server has been given."
      value=${String(live)}
      onValue=${(one) => change({ live: Number(one) })}
      options=${LIVE}
    />
    <${SliderField} label="Temperature" min=${0} max=${1} step=${0.05} standard=${0} value=${temperature} onValue=${(one) => change({ temperature: one })} />
  `;
}

function PersonaChoice() {
  if (personasFailure.value && !personas.value)
    return html`<${ErrorNote} error=${personasFailure.value} onRetry=${refreshPersonas} />`;
  if (!personas.value && !mayInfer.value) return null;
  if (!personas.value) return html`<${Loading} label="Loading the personas" lines=${1} />`;
  const { persona } = settings.value;
  const one = personas.value.find(({ id }) => id === persona) ?? personas.value.find(({ id }) => id === 1);
  return html`<${SelectField}
    label="Persona"
    hint=${one?.description}
    value=${String(one?.id ?? 1)}
    onValue=${(id) => change({ persona: Number(id) })}
    options=${personas.value.map(({ id, name }) => [String(id), name])}
  />`;
}

function Chosen({ value }) {
  if (datasetsFailure.value && !datasets.value)
    return html`<${ErrorNote} error=${datasetsFailure.value} onRetry=${refreshDatasets} />`;
  if (!datasets.value) return html`<${Loading} label="Loading the datasets" lines=${2} />`;
  if (!datasets.value.length) return html`<p class="hint">There are none yet: create one under Datasets.</p>`;
  return html`<div class="sage-chosen">
    <${Checks}
      label="Datasets"
      value=${value}
      onValue=${(names) => change({ datasets: names })}
      options=${datasets.value.map(({ full_name: full, name }) => [full, name])}
    />
  </div>`;
}
