/** Personas: who answers in the Ask Sage API. Those of the server and of files are changed here, and given back. */
import { Button } from "../components/button.js";
import { Badge, ErrorNote, Loading } from "../components/states.js";
import { Table } from "../components/table.js";
import { get } from "../http.js";
import { html, useEffect, useState } from "../lib.js";
import { PersonaDialog } from "./knowledge/persona.js";

const ORIGINS = { "built-in": "built in", file: "from a file", database: "made or changed here" };

export function Personas() {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [shown, setShown] = useState(null);
  const refresh = async () => {
    try {
      setFound((await get("/admin/v1/personas")).data);
      setError(null);
    } catch (failed) {
      setError(failed);
    }
  };
  useEffect(() => {
    refresh();
  }, []);
  if (!found)
    return error
      ? html`<${ErrorNote} error=${error} onRetry=${refresh} />`
      : html`<${Loading} label="Loading the personas" />`;
  return html`
    <div class="card-head">
      <p class="hint">A persona is a system prompt with a name. Number 1 answers where none is asked for.</p>
      <${Button} kind="main" icon="plus" onClick=${() => setShown("new")}>New persona</${Button}>
    </div>
    <${ErrorNote} error=${error} onRetry=${refresh} />
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
    <${PersonaDialog} persona=${shown} onClose=${() => setShown(null)} onChange=${refresh} />
  `;
}
