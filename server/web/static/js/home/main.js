/** The first page: what runs here, and where to go. */
import { Button } from "../components/button.js";
import { Icon } from "../components/icon.js";
import { show } from "../components/shell.js";
import { Badge, ErrorNote, Loading } from "../components/states.js";
import { Table } from "../components/table.js";
import { BASE } from "../http.js";
import { html, useEffect } from "../lib.js";
import { failure, models, refresh, watch } from "../models.js";
import { asking, isAdmin, key, me } from "../session.js";

const WAYS = [
  ["playground", "Playground", "Talk to a model, draw, transcribe, let a text be read aloud. Take the code along."],
  ["console", "Console", "Accounts, keys and credits; models and memory; what was used, and what goes on now."],
];

function Home() {
  useEffect(watch, []);
  return html`
    <section class="hero">
      <h1>Models on this machine, behind the API that you know</h1>
      <p>Programs written for a hosted AI API work here with another base URL and key. Nothing leaves this machine.</p>
      <p><code>${BASE}v1</code></p>
      ${
        !me.value &&
        html`<div class="actions start">
          <${Button} kind="main" icon="key" onClick=${() => {
            asking.value = true;
          }}>Enter your key</${Button}>
        </div>`
      }
    </section>
    <section class="ways" aria-label="Pages">
      ${WAYS.map(([path, name, text]) => html`<a key=${path} class="way" href=${BASE + path}><strong>${name}</strong><p>${text}</p></a>`)}
    </section>
    ${me.value && html`<${Running} />`}
  `;
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
        { title: "Does", wide: true, cell: (model) => model.capabilities.join(", ") },
        { title: "State", cell: (model) => html`<${Badge}>${model.state}</${Badge}>` },
      ]}
      empty=${html`<p>No model is installed. <code>sagehold models list</code> says what could be.</p>`}
    />
    ${(isAdmin.value || !key.value) && html`<p class="hint"><${Icon} name="info" size=${14} /> The console says more of each, and what it holds of the memory.</p>`}
  </section>`;
}

show("home", Home);
