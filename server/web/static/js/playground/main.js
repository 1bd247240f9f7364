/** The playground: a tab a modality. */
import { Button } from "../components/button.js";
import { Later } from "../components/later.js";
import { show } from "../components/shell.js";
import { Empty, ErrorNote } from "../components/states.js";
import { Tabs } from "../components/tabs.js";
import { place } from "../kept.js";
import { html, useEffect } from "../lib.js";
import { watch } from "../models.js";
import { asking, key, look, mayInfer, me, trouble } from "../session.js";

/** Each tab's component, fetched when it is first shown. */
const TABS = [
  ["chat", "Chat", () => import("./chat.js").then((it) => it.Chat)],
  ["images", "Images", () => import("./images.js").then((it) => it.Images)],
  ["transcription", "Transcription", () => import("./transcription.js").then((it) => it.Transcription)],
  ["speech", "Speech", () => import("./speech.js").then((it) => it.Speech)],
  ["embeddings", "Embeddings", () => import("./embeddings.js").then((it) => it.Embeddings)],
  ["asksage", "Ask Sage", () => import("./asksage.js").then((it) => it.AskSage)],
];
const chosen = place(TABS.map(([id]) => id));

function Playground() {
  useEffect(watch, []);
  const [, name, load] = TABS.find(([id]) => id === chosen.value);
  return html`
    <h1 class="visually-hidden">Playground</h1>
    <${Tabs}
      label="What to try"
      tabs=${TABS.map(([id, shown]) => [id, shown])}
      value=${chosen.value}
      onValue=${(id) => {
        chosen.value = id;
      }}
    >
      <${Gate} />
      <${Later} key=${chosen.value} load=${load} label=${name} />
    </${Tabs}>
  `;
}

/** Why nothing can be sent yet, above the form, which can be looked at without a key. */
function Gate() {
  const ask = () => {
    asking.value = true;
  };
  if (mayInfer.value) return null;
  if (me.value) {
    return html`<${Empty} icon="lock" title="This key may not use models">
      <p>It needs the scope <code>inference</code>. An operator gives it in the console.</p>
      <${Button} icon="key" onClick=${ask}>Use another key</${Button}>
    </${Empty}>`;
  }
  if (trouble.value?.offline) return html`<${ErrorNote} error=${trouble.value} onRetry=${look} />`;
  if (key.value && !trouble.value) return null;
  return html`<${Empty} icon="key" title="Enter your API key to begin">
    <p>The server printed one at its first start. It stays in this tab, and goes to this server only.</p>
    <${Button} kind="main" icon="key" onClick=${ask}>Enter key</${Button}>
  </${Empty}>`;
}

show("playground", Playground);
