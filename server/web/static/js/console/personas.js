/** Personas: who answers in the Ask Sage API. Those of the server and of files are changed here, and given back. */
import { Answer, useAsked } from "../asked.js";
import { Button } from "../components/button.js";
import { Badge } from "../components/states.js";
import { Table } from "../components/table.js";
import { get } from "../http.js";
import { html, useState } from "../lib.js";
import { key } from "../session.js";
import { PersonaDialog } from "./knowledge/persona.js";

const ORIGINS = { "built-in": "built in", file: "from a file", database: "made or changed here" };

export function Personas() {
  const asked = useAsked(async (signal) => (await get("/admin/v1/personas", { signal })).data, [key.value]);
  return html`<${Answer} asked=${asked} label="Loading the personas">
    ${(found) => html`<${Found} found=${found} onChange=${asked.again} />`}
  </${Answer}>`;
}

function Found({ found, onChange }) {
  const [shown, setShown] = useState(null);
  return html`
    <div class="card-head">
      <p class="hint">A persona is a system prompt with a name. Number 1 answers where none is asked for.</p>
      <${Button} kind="main" icon="plus" onClick=${() => setShown("new")}>New persona</${Button}>
    </div>
    <${Table}
      label="Personas"
      rows=${found}
      columns=${[
        { title: "Number", number: true, cell: (one) => one.id },
        {
          title: "Name",
          wide: true,
          cell: (one) =>
            html`<button type="button" class="knowledge-open" onClick=${() => setShown(one)}>${one.name}</button>`,
        },
        { title: "Description", wide: true, cell: (one) => one.description },
        {
          title: "Origin",
          cell: (one) =>
            html`<${Badge} kind=${one.origin === "database" ? "info" : "faint"}>${ORIGINS[one.origin]}</${Badge}>`,
        },
        { title: "Version", number: true, cell: (one) => one.version },
      ]}
    />
    <${PersonaDialog} persona=${shown} onClose=${() => setShown(null)} onChange=${onChange} />
  `;
}
