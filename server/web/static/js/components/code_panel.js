/** The request of a form as code: curl, Python, Node.js. What is shown is made of the very request that the page sends; a
 * chat's is shown as a response's too, which asks for the same. */
import { asCurl, asNode, asPython } from "../code/code.js";
import { asResponse, remarksOn } from "../code/responses.js";
import { kept } from "../kept.js";
import { html, useState } from "../lib.js";
import { CodeBlock } from "./code.js";
import { Choice } from "./field.js";
import { Tabs } from "./tabs.js";

const LANGUAGES = [
  ["curl", "curl", asCurl],
  ["python", "Python", asPython],
  ["node", "Node.js", asNode],
];
const CHAT = "/v1/chat/completions";
const FORMS = [
  ["chat", "Chat completions"],
  ["responses", "Responses"],
];
/** Which of FORMS a chat is shown in. */
const form = kept("code.form", "chat");

/** request: see code/code.js. */
export function CodePanel({ request }) {
  const [language, setLanguage] = useState("curl");
  const write = LANGUAGES.find(([id]) => id === language)[2];
  const chats = request.path === CHAT;
  const other = chats && form.value === "responses" ? asResponse(request) : null;
  const choose = (value) => {
    form.value = value;
  };
  return html`<div class="stack">
    ${chats && html`<${Choice} label="API" options=${FORMS} value=${other ? "responses" : "chat"} onValue=${choose} />`}
    <${Tabs} small label="Language" tabs=${LANGUAGES.map(([id, shown]) => [id, shown])} value=${language} onValue=${setLanguage}>
      <${CodeBlock} text=${write(other?.request ?? request)} label=${`Code in ${language}`} />
      ${other && html`<${Remarks} of=${other} />`}
      <p class="hint">The key is left out: the code takes it from the environment variable <code>OPENAI_API_KEY</code>.</p>
    </${Tabs}>
  </div>`;
}

function Remarks({ of }) {
  const stored = of.request.json.store !== false;
  return html`${remarksOn(of).map((remark) => html`<p key=${remark} class="hint">${remark}</p>`)}
    ${stored && html`<p class="hint">The server keeps a response for a while: the next request can go on from it by <code>previous_response_id</code>. With <code>store</code> false nothing is kept.</p>`}`;
}
