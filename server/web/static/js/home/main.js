/** The first page: what runs here, where to go, and a first request to take along. */
import { Button, CopyButton } from "../components/button.js";
import { CodePanel } from "../components/code_panel.js";
import { Icon } from "../components/icon.js";
import { show } from "../components/shell.js";
import { Badge, ErrorNote, Loading } from "../components/states.js";
import { Table } from "../components/table.js";
import { number } from "../format.js";
import { BASE } from "../http.js";
import { html, useEffect } from "../lib.js";
import { able, failure, models, refresh, watch } from "../models.js";
import { asking, isAdmin, key, look, mayInfer, me, trouble } from "../session.js";

const WAYS = [
  [
    "playground",
    "Playground",
    "Chat with a model, draw pictures, transcribe and speak. Take the code of each request along.",
  ],
  ["console", "Console", "Accounts, keys and credits. Models and memory. What was used, and what is going on now."],
];

function Home() {
  useEffect(watch, []);
  const chat = able("chat").find((model) => model.state !== "failed");
  return html`
    <div class="home-top">
      <section class="hero">
        <h1>Models on this machine, behind the API that you know</h1>
        <p>Programs that were written for a hosted AI API work here. Give them this base URL and a key:</p>
        <p class="home-url"><code>${BASE}v1</code><${CopyButton} text=${`${BASE}v1`} label="Copy the URL" /></p>
        <${Start} />
      </section>
      ${
        (!me.value || mayInfer.value) &&
        html`<section class="card home-first" aria-labelledby="first-request">
          <h2 id="first-request">Your first request</h2>
          <${CodePanel} request=${mayInfer.value && chat ? question(chat.id) : LISTING} />
        </section>`
      }
    </div>
    <section class="ways" aria-label="Pages">
      ${WAYS.map(
        ([path, name, text]) =>
          html`<a key=${path} class="way" href=${BASE + path}><strong>${name}<${Icon} name="right" /></strong><p>${text}</p></a>`,
      )}
    </section>
    ${mayInfer.value && html`<${Running} />`}
  `;
}

/** What can be asked before it is known which models there are. */
const LISTING = { method: "GET", path: "/v1/models" };

const question = (model) => ({
  path: "/v1/chat/completions",
  json: { model, messages: [{ role: "user", content: "What is the capital of Japan?" }] },
});

/** What to do next: a key first, then the playground. */
function Start() {
  if (trouble.value?.offline) return html`<${ErrorNote} error=${trouble.value} onRetry=${look} />`;
  if (me.value) {
    return html`<div class="actions start">
      ${mayInfer.value && html`<a class="button main" href=${`${BASE}playground`}>Try it in the playground</a>`}
      ${!mayInfer.value && html`<a class="button main" href=${`${BASE}console`}>Open the console</a>`}
      ${isAdmin.value && html`<a class="button plain" href=${`${BASE}console#keys`}>Make keys for others</a>`}
    </div>`;
  }
  if (key.value && !trouble.value) return html`<${Loading} label="Asking what your key may do" lines=${1} />`;
  return html`<div class="actions start">
      <${Button} kind="main" icon="key" onClick=${() => {
        asking.value = true;
      }}>Enter your key</${Button}>
    </div>
    <p class="hint">The server printed a key at its first start. On its machine, <code>sagehold keys create</code> makes another.</p>`;
}

function Running() {
  if (failure.value && !models.value) return html`<${ErrorNote} error=${failure.value} onRetry=${refresh} />`;
  if (!models.value) return html`<${Loading} label="Loading the models" />`;
  return html`<section class="stack">
    <h2>What runs here</h2>
    <${Table}
      label="Models"
      rows=${models.value}
      columns=${[
        { title: "Name", cell: (model) => html`<code>${model.id}</code>` },
        { title: "State", cell: (model) => html`<${Badge}>${model.state}</${Badge}>` },
        { title: "Does", wide: true, cell: (model) => model.capabilities.join(", ") },
        {
          title: "Context",
          number: true,
          cell: (model) => (model.max_model_len ? `${number(model.max_model_len)} tokens` : "–"),
        },
      ]}
      empty=${html`<p>No model is installed. <code>sagehold models list</code> says what could be.</p>`}
    />
    ${isAdmin.value && html`<p class="hint">The <a href=${`${BASE}console#models`}>console</a> shows why a model failed, and what each holds of the memory.</p>`}
  </section>`;
}

show("home", Home);
