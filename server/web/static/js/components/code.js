/** Code to be read and copied. */
import { html } from "../lib.js";
import { CopyButton } from "./button.js";

export function CodeBlock({ text, label = "Code" }) {
  return html`<div class="code-block">
    <div class="code-copy"><${CopyButton} text=${text} /></div>
    <pre tabindex="0" aria-label=${label}><code>${text}</code></pre>
  </div>`;
}
