/** A tab of the playground: the work itself, and beside it its settings and its code. */
import { html, useState } from "../lib.js";
import { Button } from "./button.js";
import { Later } from "./later.js";
import { Tabs } from "./tabs.js";

const codePanel = () => import("./code_panel.js").then((it) => it.CodePanel);

/** settings: what stands in the side panel; request: as of code/code.js, or null while there is nothing to send. whose: what
 * stands above the code, where there are several requests to choose from. */
export function Workbench({ settings, request, whose, children }) {
  const [side, setSide] = useState("settings");
  const [open, setOpen] = useState(false);
  return html`<div class="workbench">
    <section class="work">${children}</section>
    <div class="side-turn">
      <${Button} small icon="settings" aria-expanded=${open ? "true" : "false"} aria-controls="side" onClick=${() => setOpen(!open)}>Settings and code</${Button}>
    </div>
    <aside id="side" class=${`side${open ? " open" : ""}`} aria-label="Settings and code">
      <${Tabs} small label="Settings and code" tabs=${[["settings", "Settings"], ["code", "Code"]]} value=${side} onValue=${setSide}>
        ${side === "settings" ? html`<div class="stack">${settings}</div>` : request ? html`<div class="stack">${whose}<${Later} load=${codePanel} label="Code" request=${request} /></div>` : html`<p class="hint">There is nothing to send yet.</p>`}
      </${Tabs}>
    </aside>
  </div>`;
}
