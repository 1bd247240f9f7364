/** The model that a form is for: a choice among those that do its task, and where it stands. */
import { seconds } from "../format.js";
import { html } from "../lib.js";
import { able, failure, models, named, refresh } from "../models.js";
import { key, mayInfer, me, trouble } from "../session.js";
import { SelectField } from "./field.js";
import { ErrorNote, Loading, Note, Progress } from "./states.js";

/** The id that stands: the one that was chosen, as long as it is served, else the first of those that do the task and have
 * not failed: by its model's own name, rather than by one that stands for several models; "" for none. */
export function standing(task, chosen) {
  const found = able(task);
  if (found.some((model) => model.id === chosen)) return chosen;
  const working = found.filter((model) => model.state !== "failed");
  const own = working.find((model) => model.models?.[task]?.model === model.id);
  return (own ?? working[0] ?? found[0])?.id ?? "";
}

export function ModelChoice({ task, value, onValue, label = "Model" }) {
  if (failure.value && !models.value) return html`<${ErrorNote} error=${failure.value} onRetry=${refresh} />`;
  if (!models.value) return html`<${Awaited} label=${label} />`;
  const found = able(task);
  if (!found.length)
    return html`<${Note} kind="warn">No model that your key may use does this (${task}). <code>sagehold models list</code> shows what can be installed.</${Note}>`;
  const chosen = standing(task, value);
  return html`<div class="stack">
    <${SelectField} label=${label} value=${chosen} onValue=${onValue} options=${found.map((model) => [model.id, model.id])} />
    <${ModelState} id=${chosen} task=${task} />
  </div>`;
}

/** Why there is no list of models yet: nobody may ask for it, or it is on its way. */
function Awaited({ label }) {
  const refused = me.value ? !mayInfer.value : !key.value || (trouble.value && !trouble.value.offline);
  if (!refused) return html`<${Loading} label="Loading the models" lines=${1} />`;
  return html`<${SelectField} label=${label} options=${[["", me.value ? "This key may use none" : "Enter your key to choose one"]]} disabled />`;
}

/** What a model that can't answer at once is doing; nothing for one that can. */
export function ModelState({ id, task }) {
  const model = named(id);
  const own = model?.models[task];
  const state = own?.state ?? model?.state;
  if (!model || state === "ready") return null;
  if (state === "failed")
    return html`<${Note} kind="warn">This model failed: ${model.reason ?? "see the console"}</${Note}>`;
  if (state === "loading") {
    const { phase, seconds: since } = own.loading ?? {};
    return html`<div class="loading-model" role="status">
      <p class="hint">Loading${phase ? `: ${phase}` : ""}${since === undefined ? "" : `, ${seconds(since)} so far`}</p>
      <${Progress} label="The model is loading" />
    </div>`;
  }
  return html`<p class="hint">The model is ${state}; the first request loads it.</p>`;
}
