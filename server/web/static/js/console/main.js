/** The console: what an operator sees and does. A key without the scope `admin` sees its own usage and credits, and
 * the batches and files of its account. */
import { Button } from "../components/button.js";
import { Later } from "../components/later.js";
import { show } from "../components/shell.js";
import { Empty, ErrorNote, Loading } from "../components/states.js";
import { place } from "../kept.js";
import { html, useEffect, useRef } from "../lib.js";
import { watch } from "../models.js";
import { asking, isAdmin, key, look, mayInfer, me, trouble } from "../session.js";

const administers = () => isAdmin.value;
/** Whose batches and files a key sees is said by its scopes: an operator all, others their account's. */
const worksWithFiles = () => isAdmin.value || mayInfer.value;

/** Each section's component is fetched when it is first shown. may: whether the key sees it; most take an operator's. The
 * last one is every key's. */
const SECTIONS = [
  { id: "models", name: "Models", load: () => import("./models.js").then((it) => it.Models) },
  { id: "live", name: "Live", load: () => import("./live.js").then((it) => it.Live) },
  { id: "accounts", name: "Accounts", load: () => import("./accounts.js").then((it) => it.Accounts) },
  { id: "keys", name: "Keys", load: () => import("./keys.js").then((it) => it.Keys) },
  { id: "usage", name: "Usage", load: () => import("./usage.js").then((it) => it.Usage) },
  {
    id: "batches",
    name: "Batches",
    load: () => import("./batches.js").then((it) => it.Batches),
    may: worksWithFiles,
  },
  { id: "files", name: "Files", load: () => import("./files.js").then((it) => it.Files), may: worksWithFiles },
  { id: "datasets", name: "Datasets", load: () => import("./datasets.js").then((it) => it.Datasets) },
  { id: "personas", name: "Personas", load: () => import("./personas.js").then((it) => it.Personas) },
  { id: "audit", name: "Audit log", load: () => import("./audit.js").then((it) => it.Audit) },
  { id: "settings", name: "Settings", load: () => import("./settings.js").then((it) => it.SettingsView) },
  { id: "own", name: "My usage", load: () => import("./own.js").then((it) => it.Own), may: () => true },
];
const chosen = place(SECTIONS.map(({ id }) => id));

function Console() {
  useEffect(watch, []);
  const heading = useRef(null);
  const first = useRef(true);
  const open = SECTIONS.filter(({ may = administers }) => may());
  const section = open.find(({ id }) => id === chosen.value) ?? open.at(-1);
  useEffect(() => {
    // Who came by a link is where it led; the page's own start leaves the focus alone.
    if (!heading.current) return;
    if (!first.current) heading.current.focus();
    first.current = false;
  }, [section.id, Boolean(me.value)]);
  if (!me.value) return html`<${Gate} />`;
  return html`<div class="console">
    <nav aria-label="Sections" class="sections">
      ${open.map(({ id, name }) => html`<a key=${id} href=${`#${id}`} aria-current=${id === section.id ? "page" : undefined}>${name}</a>`)}
    </nav>
    <section class="section stack" aria-labelledby="section-name">
      <h1 id="section-name" tabindex="-1" ref=${heading}>${section.name}</h1>
      <${Later} key=${section.id} load=${section.load} label=${section.name} />
    </section>
  </div>`;
}

function Gate() {
  const ask = () => {
    asking.value = true;
  };
  if (trouble.value && trouble.value.status !== 401)
    return html`<${ErrorNote} error=${trouble.value} onRetry=${look} />`;
  if (key.value && !trouble.value) return html`<${Loading} label="Asking what your key may do" />`;
  return html`<h1 class="visually-hidden">Console</h1>
  <${Empty} icon="key" title="Enter a key to open the console">
    <p>With the scope <code>admin</code> it shows everything; any other key sees its own usage and credits, and its account's batches and files. On the
      server's machine, <code>sagehold keys create --scopes admin</code> makes one.</p>
    <${Button} kind="main" icon="key" onClick=${ask}>Enter key</${Button}>
  </${Empty}>`;
}

show("console", Console);
