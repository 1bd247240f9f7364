/** Embeddings: how alike several texts are to a model. */
import { Button, IconButton } from "../components/button.js";
import { Field, NumberField } from "../components/field.js";
import { ModelChoice } from "../components/model_choice.js";
import { Empty, ErrorNote, Loading } from "../components/states.js";
import { toast } from "../components/toasts.js";
import { Workbench } from "../components/workbench.js";
import { count } from "../format.js";
import { html, useRef } from "../lib.js";
import { mayInfer } from "../session.js";
import {
  add,
  busy,
  compare,
  failure,
  MOST,
  model,
  pasted,
  removeRow,
  request,
  result,
  settings,
  stop,
  texts,
  write,
} from "./embeddings/comparing.js";
import { Result } from "./embeddings/matrix.js";
import { Waiting } from "./waiting.js";

export function Embeddings() {
  return html`<${Workbench} settings=${html`<${Panel} />`} request=${request.value}>
    <h2 class="visually-hidden">Embeddings</h2>
    <${Texts} />
    <${ErrorNote} error=${failure.value} onRetry=${failure.value?.requestId ? compare : undefined} />
    ${busy.value && html`<${Waiting} model=${model.value} task="embedding" />`}
    ${busy.value && !result.value && html`<${Loading} label="Comparing the texts" lines=${4} />`}
    ${!result.value && !busy.value && !failure.value && html`<${Empty} icon="columns" title="Nothing compared yet"><p>Press Compare: each text is turned into a vector, and a table shows how alike they are.</p></${Empty}>`}
    <${Result} />
  </${Workbench}>`;
}

function Panel() {
  const now = settings.value;
  const to = (name) => (value) => {
    settings.value = { ...settings.value, [name]: value };
  };
  return html`
    <${ModelChoice} task="embedding" value=${now.model} onValue=${to("model")} />
    <${NumberField} label="Dimensions" min=${1} step=${1} value=${now.dimensions} onValue=${to("dimensions")} placeholder="all" hint="Fewer make shorter vectors, of models that can give them." />
  `;
}

function Texts() {
  const place = useRef(null);
  const focus = (at) => {
    // After the row is there.
    requestAnimationFrame(() => place.current?.querySelectorAll("textarea")[at]?.focus());
  };
  const keys = (at) => (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      compare();
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (add(at)) focus(at + 1);
    } else if (event.key === "Backspace" && !event.currentTarget.value && texts.value.length > 1) {
      event.preventDefault();
      removeRow(at);
      focus(Math.max(0, at - 1));
    }
  };
  const paste = (at) => (event) => {
    const left = pasted(at, event.clipboardData.getData("text"));
    if (left === null) return;
    event.preventDefault();
    if (left) toast(`${count(left, "line")} left out: at most ${MOST} texts are compared.`);
  };
  const removed = (at) => () => {
    removeRow(at);
    focus(Math.min(at, texts.value.length - 1));
  };
  const submit = (event) => {
    event.preventDefault();
    compare();
  };
  return html`<form class="stack" onSubmit=${submit}>
    <ol role="list" class="embed-texts" ref=${place}>
      ${texts.value.map(
        (text, at) => html`<li key=${at}>
          <${Field} label=${`Text ${at + 1}`} inline>
            ${(own) => html`<textarea class="input grows" rows="1" value=${text} onInput=${(event) => write(at, event.currentTarget.value)} onKeyDown=${keys(at)} onPaste=${paste(at)} ...${own}></textarea>`}
          </${Field}>
          <${IconButton} icon="close" label=${`Remove text ${at + 1}`} onClick=${removed(at)} />
        </li>`,
      )}
    </ol>
    <p class="hint embed-keys"><kbd>Enter</kbd> adds a text, <kbd>Shift</kbd> <kbd>Enter</kbd> a line. Lines that are pasted into an empty row become a text each.</p>
    <div class="actions start">
      ${
        busy.value
          ? html`<${Button} key="stop" icon="stop" onClick=${stop}>Stop</${Button}>`
          : html`<${Button} key="start" kind="main" icon="columns" type="submit" disabled=${mayInfer.value && !model.value}>Compare</${Button}>`
      }
      <${Button} icon="plus" disabled=${texts.value.length >= MOST} onClick=${() => add() && focus(texts.value.length - 1)}>Add text</${Button}>
      ${texts.value.length >= MOST && html`<span class="hint">${MOST} texts are the most.</span>`}
    </div>
  </form>`;
}
