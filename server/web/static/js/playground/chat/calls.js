/** The calls of an answer: which tool, with which arguments, and a field for what each gave. */
import { Button } from "../../components/button.js";
import { TextArea } from "../../components/field.js";
import { Icon } from "../../components/icon.js";
import { html, useState } from "../../lib.js";

/** JSON laid out in lines; other texts as they are. */
export function laidOut(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** onResults: is there while results are awaited, and gets [call, text] for each call. */
export function Calls({ calls, onResults }) {
  const [results, setResults] = useState({});
  const all = calls.map((call) => [call, results[call.id] ?? ""]);
  const ready = all.every(([, text]) => text.trim());
  const submit = (event) => {
    event.preventDefault();
    if (ready) onResults(all);
  };
  return html`<form class="chat-calls" onSubmit=${submit}>
    ${calls.map(
      (call) => html`<div class="chat-call" key=${call.id}>
        <p class="chat-call-name"><${Icon} name="tool" size=${16} />Calls <code>${call.name}</code></p>
        <pre tabindex="0" aria-label=${`Arguments of ${call.name}`}><code>${laidOut(call.arguments)}</code></pre>
        ${
          onResults &&
          html`<${TextArea}
          label=${`Result of ${call.name}`}
          rows=${2}
          mono
          spellcheck=${false}
          placeholder=${'{"temperature": 21, "sky": "clear"}'}
          value=${results[call.id] ?? ""}
          onValue=${(text) => setResults({ ...results, [call.id]: text })}
        />`
        }
      </div>`,
    )}
    ${
      onResults &&
      html`<div class="actions start">
        <${Button} kind="main" small type="submit" icon="send" disabled=${!ready}>${calls.length > 1 ? "Send the results" : "Send the result"}</${Button}>
        <p class="hint">Nothing is run here: you play the tool, and type in what it gives.</p>
      </div>`
    }
  </form>`;
}
