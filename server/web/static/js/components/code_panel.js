/** The request of a form as code: curl, Python, Node.js. What is shown is made of the very request that the page sends. */
import { asCurl, asNode, asPython } from "../code/code.js";
import { html, useState } from "../lib.js";
import { CodeBlock } from "./code.js";
import { Tabs } from "./tabs.js";

const LANGUAGES = [
  ["curl", "curl", asCurl],
  ["python", "Python", asPython],
  ["node", "Node.js", asNode],
];

/** request: see code/code.js. */
export function CodePanel({ request }) {
  const [language, setLanguage] = useState("curl");
  const write = LANGUAGES.find(([id]) => id === language)[2];
  const text = write(request);
  return html`<${Tabs} small label="Language" tabs=${LANGUAGES.map(([id, shown]) => [id, shown])} value=${language} onValue=${setLanguage}>
    <${CodeBlock} text=${text} label=${`Code in ${language}`} />
    <p class="hint">The key is left out: the code takes it from the environment variable <code>OPENAI_API_KEY</code>.</p>
  </${Tabs}>`;
}
