/** The console: what an operator sees and does. A key without the scope `admin` sees its own usage and credits. */
import { Button } from "../components/button.js";
import { show } from "../components/shell.js";
import { Empty, ErrorNote, Loading } from "../components/states.js";
import { place } from "../kept.js";
import { html, useEffect, useRef } from "../lib.js";
import { watch } from "../models.js";
import { asking, isAdmin, key, look, me, trouble } from "../session.js";
import { Accounts } from "./accounts.js";
import { Audit } from "./audit.js";
import { Datasets } from "./datasets.js";
import { Keys } from "./keys.js";
import { Live } from "./live.js";
import { Models } from "./models.js";
import { Own } from "./own.js";
import { Personas } from "./personas.js";
import { SettingsView } from "./settings.js";
import { Usage } from "./usage.js";

/** own: what every key may see. */
const SECTIONS = [
  { id: "models", name: "Models", View: Models },
  { id: "live", name: "Live", View: Live },
  { id: "accounts", name: "Accounts", View: Accounts },
  { id: "keys", name: "Keys", View: Keys },
  { id: "usage", name: "Usage", View: Usage },
  { id: "datasets", name: "Datasets", View: Datasets },
  { id: "personas", name: "Personas", View: Personas },
  { id: "audit", name: "Audit log", View: Audit },
  { id: "settings", name: "Settings", View: SettingsView },
  { id: "own", name: "My usage", View: Own, own: true },
];
const chosen = place(SECTIONS.map(({ id }) => id));

function Console() {
  useEffect(watch, []);
  const heading = useRef(null);
  const first = useRef(true);
  const open = SECTIONS.filter((one) => one.own || isAdmin.value);
  const section = open.find(({ id }) => id === chosen.value) ?? open[0];
  useEffect(() => {
    // Who came by a link is where it led; the page's own start leaves the focus alone.
    if (!first.current) heading.current?.focus();
    first.current = false;
  }, [section.id]);
  if (!me.value) return html`<${Gate} />`;
  return html`<div class="console">
    <nav aria-label="Sections" class="sections">
      ${open.map(({ id, name }) => html`<a key=${id} href=${`#${id}`} aria-current=${id === section.id ? "page" : undefined}>${name}</a>`)}
    </nav>
    <section class="section stack" aria-labelledby="section-name">
      <h1 id="section-name" tabindex="-1" ref=${heading}>${section.name}</h1>
      <${section.View} key=${section.id} />
    </section>
  </div>`;
}

function Gate() {
  const ask = () => {
    asking.value = true;
  };
  if (trouble.value?.offline) return html`<${ErrorNote} error=${trouble.value} onRetry=${look} />`;
  if (key.value && !trouble.value) return html`<${Loading} label="Asking what your key may do" />`;
  return html`<${Empty} icon="key" title="Enter a key to open the console">
    <p>With the scope <code>admin</code> it shows everything; any other key sees its own usage and credits. On the
      server's machine, <code>sagehold keys create --scopes admin</code> makes one.</p>
    <${Button} kind="main" icon="key" onClick=${ask}>Enter key</${Button}>
  </${Empty}>`;
}

show("console", Console);
