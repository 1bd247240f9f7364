/** A new key's text, which is in this dialog and nowhere else: not in the page's memory once it is closed. */
import { Button, CopyButton } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { Field } from "../../components/field.js";
import { Note } from "../../components/states.js";
import { html, useState } from "../../lib.js";

/** made: the server's answer with `key` and `warnings`. */
export function ShownOnce({ made, onClose }) {
  const [copied, setCopied] = useState(false);
  const [warned, setWarned] = useState(false);
  const leave = () => {
    // Escape is pressed sooner than it is meant. A browser may have closed the dialog by then: another one opens.
    if (copied || warned) onClose();
    else setWarned(true);
  };
  return html`<${Dialog} key=${warned} open title="The key is made" onClose=${leave}>
    <${Note} kind="warn">
      <p><strong>Copy it now: it is shown this once.</strong> The server keeps no copy that could be read.</p>
    </${Note}>
    <${Field} label=${`Key ${made.name ? `“${made.name}”` : ""}`}>
      ${(own) => html`<input class="input mono keys-text" readonly autofocus autocomplete="off" value=${made.key} onFocus=${(event) => event.currentTarget.select()} onCopy=${() => setCopied(true)} ...${own} />`}
    </${Field}>
    ${
      made.warnings.length > 0 &&
      html`<${Note} kind="warn">${made.warnings.map((warning) => html`<p key=${warning}>${warning}</p>`)}</${Note}>`
    }
    ${warned && !copied && html`<div role="alert"><${Note} kind="warn">The key is not copied yet. Once this is closed, nobody can show it again.</${Note}></div>`}
    <div class="actions">
      <${Button} onClick=${leave}>${warned && !copied ? "Close without copying" : "Done"}</${Button}>
      <${CopyButton} text=${made.key} label="Copy key" small=${false} kind="main" onCopied=${() => setCopied(true)} />
    </div>
  </${Dialog}>`;
}
