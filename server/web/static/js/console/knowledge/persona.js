/** A persona being looked at, made, changed, or deleted. */
import { Button } from "../../components/button.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { TextArea, TextField } from "../../components/field.js";
import { Markdown } from "../../components/markdown.js";
import { ErrorNote } from "../../components/states.js";
import { Tabs } from "../../components/tabs.js";
import { toast } from "../../components/toasts.js";
import { patch, post, remove } from "../../http.js";
import { html, useState } from "../../lib.js";
import { changesOf } from "./changes.js";

/** persona: as listed, "new", or null for none. */
export function PersonaDialog({ persona, onClose, onChange }) {
  const title = persona === "new" ? "New persona" : `Persona ${persona?.id}: ${persona?.name}`;
  return html`<${Dialog} open=${persona !== null} wide title=${title} onClose=${onClose}>
    ${persona && html`<${Form} persona=${persona === "new" ? null : persona} onClose=${onClose} onChange=${onChange} />`}
  </${Dialog}>`;
}

function Form({ persona, onClose, onChange }) {
  const [name, setName] = useState(persona?.name ?? "");
  const [description, setDescription] = useState(persona?.description ?? "");
  const [prompt, setPrompt] = useState(persona?.prompt ?? "");
  const [side, setSide] = useState("write");
  const [busy, setBusy] = useState("");
  const [error, setError] = useState(null);
  const [sure, setSure] = useState(false);
  const act = async (what, work, done) => {
    setBusy(what);
    try {
      const answer = await work();
      toast(done ?? (answer.now ? `${answer.now.name} is back.` : "The persona is deleted."));
      onClose();
      onChange();
    } catch (failed) {
      setError(failed);
    } finally {
      setBusy("");
    }
  };
  const save = (event) => {
    event.preventDefault();
    const fields = changesOf({ name, description, prompt }, persona);
    if (persona) act("save", () => patch(`/admin/v1/personas/${persona.id}`, fields), "The persona is changed.");
    else act("save", () => post("/admin/v1/personas", fields), "The persona is made.");
  };
  const end = () => act("end", () => remove(`/admin/v1/personas/${persona.id}`));
  const wrong = (field) => (error?.param === field ? error.message : undefined);
  return html`<form class="stack" onSubmit=${save}>
    <${TextField} label="Name" value=${name} onValue=${setName} error=${wrong("name")} maxlength="100" />
    <${TextField} label="Description" hint="Who chooses a persona reads it." value=${description} onValue=${setDescription} error=${wrong("description")} />
    <${Tabs} small label="Prompt" tabs=${[["write", "Prompt"], ["preview", "Preview"]]} value=${side} onValue=${setSide}>
      ${
        side === "write"
          ? html`<div class="knowledge-prompt"><${TextArea} label="System prompt" hint="The model reads it before each question. Its version grows with each change." value=${prompt} onValue=${setPrompt} error=${wrong("prompt")} rows=${10} maxlength="20000" /></div>`
          : prompt.trim()
            ? html`<div class="knowledge-preview" tabindex="0" role="region" aria-label="Preview of the prompt"><${Markdown} text=${prompt} /></div>`
            : html`<p class="hint">The prompt is empty: the model then answers without one.</p>`
      }
    </${Tabs}>
    <${ErrorNote} error=${["name", "description", "prompt"].includes(error?.param) ? null : error} />
    ${persona?.origin !== "database" && persona && html`<p class="hint">This one comes with the server or from a file. What you change here hides it, until you delete the change.</p>`}
    <div class="actions">
      ${
        persona?.origin === "database" &&
        html`<${Button} kind="danger" icon="trash" onClick=${() => setSure(true)}>Delete</${Button}>`
      }
      <${Button} onClick=${onClose}>Cancel</${Button}>
      <${Button} kind="main" type="submit" busy=${busy === "save"} disabled=${!name.trim()}>${persona ? "Save" : "Make persona"}</${Button}>
    </div>
    <${Confirm} open=${sure} title="Delete this persona?" action="Delete" busy=${busy === "end"} onYes=${end} onClose=${() => setSure(false)}>
      <p><strong>${persona?.name}</strong> goes. Where it stood in place of one of the server's or of a file, that one is back.</p>
      <${ErrorNote} error=${error} />
    </${Confirm}>
  </form>`;
}
