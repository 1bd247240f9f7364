/** Ask Sage: questions that are answered from documents, with references that lead into them. */
import { Button } from "../components/button.js";
import { standing } from "../components/model_choice.js";
import { Empty } from "../components/states.js";
import { Tabs } from "../components/tabs.js";
import { Workbench } from "../components/workbench.js";
import { count } from "../format.js";
import { html, signal, useEffect, useId, useRef, useState } from "../lib.js";
import { asking, expired, mayInfer, me } from "../session.js";
import { Turn } from "./asksage/answer.js";
import { clear, put, request, stop } from "./asksage/conversation.js";
import { Library } from "./asksage/library.js";
import { Reading } from "./asksage/reading.js";
import { Settings } from "./asksage/settings.js";
import { datasets, draft, refreshDatasets, refreshPersonas, settings, turns } from "./asksage/state.js";

const EXAMPLE = "What do my documents say?";
const part = signal("ask");

export function AskSage() {
  useEffect(() => {
    if (!mayInfer.value) return;
    refreshDatasets();
    refreshPersonas();
  }, [me.value]);
  const model = standing("chat", settings.value.model);
  const code = model ? { path: "/server/query", json: shownRequest(model) } : null;
  return html`<${Workbench} settings=${html`<${Settings} />`} request=${code}>
    <${Tabs}
      small
      label="Ask Sage"
      tabs=${[["ask", "Ask"], ["datasets", "Datasets"]]}
      value=${part.value}
      onValue=${(id) => {
        part.value = id;
      }}
    >
      ${part.value === "ask" ? html`<${Conversation} model=${model} />` : mayInfer.value && html`<${Library} />`}
    </${Tabs}>
  </${Workbench}>`;
}

/** What Ask would send; while there is nothing to ask, the last question once more, as it was asked. */
function shownRequest(model) {
  const written = draft.value.trim();
  if (written) return request(written, model);
  return request(turns.value.at(-1)?.question ?? EXAMPLE, model, turns.value.slice(0, -1));
}

function Conversation({ model }) {
  const [citation, setCitation] = useState(null);
  const end = useRef(null);
  const busy = turns.value.some(({ state }) => state === "asking");
  const number = turns.value.length;
  useEffect(() => {
    if (number) end.current?.scrollIntoView({ block: "end" });
  }, [number]);
  const ask = (question) => put(question, model);
  return html`<div class="sage-conversation">
    ${number === 0 && html`<${Start} />`}
    ${turns.value.map(
      (turn, at) =>
        html`<${Turn} key=${turn.id} turn=${turn} busy=${busy} last=${at === number - 1} onOpen=${setCitation} onAsk=${ask} />`,
    )}
    <p class="visually-hidden" role="status">${announced(turns.value.at(-1))}</p>
    <${Composer} busy=${busy} model=${model} onAsk=${ask} />
    <div ref=${end}></div>
    <${Reading} citation=${citation} onClose=${() => setCitation(null)} />
  </div>`;
}

/** What a screen reader hears. */
function announced(turn) {
  if (turn?.state === "asking") return "Waiting for the answer.";
  if (turn?.state === "stopped") return "The answer was stopped.";
  if (turn?.state !== "done") return "";
  return `The answer is finished, with ${count(turn.whole.citations.length, "reference")}.`;
}

function Start() {
  const none = datasets.value?.length === 0;
  return html`<${Empty} icon="search" title="Ask about your documents">
    <p>
      ${
        none
          ? "Create a dataset and drop files into it; or ask without one, and the model answers by itself."
          : "The answer names the passages that it draws on. Each opens in its document."
      }
    </p>
    ${
      none &&
      html`<${Button}
        kind="main"
        icon="plus"
        onClick=${() => {
          part.value = "datasets";
        }}
      >
        Add documents
      </${Button}>`
    }
  </${Empty}>`;
}

function Composer({ busy, model, onAsk }) {
  const id = useId();
  const place = useRef(null);
  const ready = draft.value.trim() && !busy && (model || !mayInfer.value);
  const submit = (event) => {
    event.preventDefault();
    if (!ready) return;
    if (!mayInfer.value || expired.value) {
      asking.value = true;
      return;
    }
    place.current?.focus();
    const question = draft.value.trim();
    draft.value = "";
    onAsk(question);
  };
  const key = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    // A keyboard on glass has no Shift to speak of: there the button sends.
    if (!matchMedia("(pointer: coarse)").matches) submit(event);
  };
  return html`<form class="sage-composer" onSubmit=${submit}>
    <label class="visually-hidden" for=${id}>Your question</label>
    <textarea
      id=${id}
      ref=${place}
      class="input grows"
      rows="2"
      placeholder="Ask a question"
      value=${draft.value}
      onInput=${(event) => {
        draft.value = event.currentTarget.value;
      }}
      onKeyDown=${key}
    ></textarea>
    <div class="actions">
      ${turns.value.length > 0 && html`<${Button} kind="quiet" icon="trash" onClick=${clear}>Clear conversation</${Button}>`}
      ${
        busy
          ? html`<${Button} icon="stop" onClick=${stop}>Stop</${Button}>`
          : html`<${Button} kind="main" type="submit" icon="send" disabled=${!ready}>Ask</${Button}>`
      }
    </div>
  </form>`;
}
