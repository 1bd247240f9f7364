/** Settings: what is in force, where it comes from, and what it does. They are changed on the server's machine. */
import { Switch, TextField } from "../components/field.js";
import { Badge, Empty, ErrorNote, Loading } from "../components/states.js";
import { Table } from "../components/table.js";
import { count } from "../format.js";
import { get } from "../http.js";
import { html, useCallback, useEffect, useState } from "../lib.js";
import { found, SOURCES } from "./settings/finding.js";

const KINDS = { flag: "info", environment: "info", file: "info", default: "faint" };

const COLUMNS = [
  { title: "Setting", cell: (setting) => html`<code>${setting.name}</code>` },
  { title: "In force", wide: true, cell: (setting) => html`<${Value} setting=${setting} />` },
  {
    title: "Comes from",
    cell: (setting) => html`<${Badge} kind=${KINDS[setting.source]}>${SOURCES[setting.source]}</${Badge}>`,
  },
  { title: "What it does", wide: true, cell: (setting) => html`<${Words} text=${setting.description} />` },
];

/** A text in which names stand between backticks. */
function Words({ text }) {
  return text.split("`").map((part, at) => (at % 2 ? html`<code key=${at}>${part}</code>` : part));
}

function Value({ setting }) {
  const differs = setting.source !== "default" && setting.value !== setting.default;
  return html`<span class="ops-setting">
    <span class="ops-value">
      ${setting.value === "" ? html`<span class="hint">not set</span>` : html`<code>${setting.value}</code>`}
      ${setting.secret && html`<${Badge} kind="warn">secret hidden</${Badge}>`}
    </span>
    ${differs && html`<span class="hint">default: ${setting.default === "" ? "not set" : html`<code>${setting.default}</code>`}</span>`}
  </span>`;
}

export function SettingsView() {
  const [settings, setSettings] = useState(null);
  const [failure, setFailure] = useState(null);
  const [text, setText] = useState("");
  const [changed, setChanged] = useState(false);
  const ask = useCallback(async () => {
    setFailure(null);
    try {
      setSettings((await get("/admin/v1/settings")).data);
    } catch (error) {
      setFailure(error);
    }
  }, []);
  useEffect(() => {
    ask();
  }, []);
  if (failure) return html`<${ErrorNote} error=${failure} onRetry=${ask} />`;
  if (!settings) return html`<${Loading} label="Loading the settings" lines=${8} />`;
  const rows = found(settings, text, changed);
  const none = html`<${Empty} icon="search" title="No setting is like that"><p>Search for another word, or show all of them.</p></${Empty}>`;
  return html`<div class="stack">
    <p class="hint">A value comes from, strongest first: a flag of <code>sagehold serve</code>, the environment, the settings
      file, the default. Change it on the server's machine and start the server again.</p>
    <div class="row">
      <${TextField} label="Search" type="search" placeholder="memory, timeout, postgresql…" value=${text} onValue=${setText} />
      <${Switch} label="Only those that are not by default" value=${changed} onValue=${setChanged} />
    </div>
    <p class="hint" role="status">${count(rows.length, "setting")}</p>
    <${Table} label="Settings" columns=${COLUMNS} rows=${rows} id=${(setting) => setting.name} empty=${none} />
  </div>`;
}
