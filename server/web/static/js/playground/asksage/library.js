/** The datasets that the key may read: one is chosen, made or deleted; its documents stand below. */
import { useAct } from "../../asked.js";
import { Button } from "../../components/button.js";
import { TextField } from "../../components/field.js";
import { Badge, Empty, ErrorNote, Loading } from "../../components/states.js";
import { Delete } from "../../deleting.js";
import { count } from "../../format.js";
import { post } from "../../http.js";
import { html, signal, useState } from "../../lib.js";
import { Documents } from "./documents.js";
import { datasets, datasetsFailure, refreshDatasets } from "./state.js";

const chosen = signal("");

export function Library() {
  const [doomed, setDoomed] = useState(null);
  const found = datasets.value;
  if (datasetsFailure.value && !found)
    return html`<${ErrorNote} error=${datasetsFailure.value} onRetry=${refreshDatasets} />`;
  if (!found) return html`<${Loading} label="Loading the datasets" />`;
  const dataset = found.find(({ id }) => id === chosen.value) ?? found[0] ?? null;
  return html`<div class="stack">
    ${
      found.length > 0 &&
      html`<ul role="list" class="sage-datasets" aria-label="Datasets">
        ${found.map(
          (one) => html`<li key=${one.id}>
            <button
              type="button"
              class="sage-dataset"
              aria-pressed=${one.id === dataset.id ? "true" : "false"}
              onClick=${() => {
                chosen.value = one.id;
              }}
            >
              <b>${one.name}</b>
              <span class="hint">${count(one.documents, "document")}, ${count(one.passages, "passage")}</span>
              ${one.permission !== "owner" && html`<${Badge}>${`shared: ${one.permission}`}</${Badge}>`}
            </button>
          </li>`,
        )}
      </ul>`
    }
    <${NewDataset} first=${found.length === 0} />
    ${
      dataset &&
      html`<section class="card stack" aria-label=${`Dataset ${dataset.name}`}>
        <div class="card-head">
          <h2 class="sage-name">${dataset.name}</h2>
          ${dataset.permission === "owner" && html`<${Button} small kind="quiet" icon="trash" onClick=${() => setDoomed(dataset)}>Delete dataset</${Button}>`}
        </div>
        <${Documents} key=${dataset.id} dataset=${dataset} />
      </section>`
    }
    <${Delete}
      open=${doomed !== null}
      title="Delete this dataset?"
      path=${`/v1/datasets/${doomed?.id}`}
      done="The dataset is deleted."
      onClose=${() => setDoomed(null)}
      onGone=${refreshDatasets}
    >
      <p><strong class="sage-name">${doomed?.name}</strong> and its ${count(doomed?.documents ?? 0, "document")} go, for everybody who may read it. This can't be undone.</p>
    </${Delete}>
  </div>`;
}

function NewDataset({ first }) {
  const [name, setName] = useState("");
  const act = useAct(async () => {
    const made = await post("/v1/datasets", { name: name.trim() });
    await refreshDatasets();
    chosen.value = made.id;
    setName("");
  });
  const create = (event) => {
    event.preventDefault();
    act.run();
  };
  const form = html`<form class="stack" onSubmit=${create}>
    <div class="row">
      <${TextField} label="Name of a new dataset" value=${name} onValue=${setName} maxlength="100" placeholder="handbook" />
      <${Button} type="submit" icon="plus" kind=${first ? "main" : "plain"} busy=${act.busy} disabled=${name.trim().length < 4}>Create dataset</${Button}>
    </div>
    <p class="hint">4 to 100 characters, without a comma.</p>
    <${ErrorNote} error=${act.error} />
  </form>`;
  if (!first) return form;
  return html`<${Empty} icon="file" title="No datasets yet">
    <p>A dataset is a set of documents. Questions are answered from it, and each answer names the passages that it draws on.</p>
    ${form}
  </${Empty}>`;
}
