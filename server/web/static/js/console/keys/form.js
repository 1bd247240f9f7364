/** The form of a key, for a new one and for a change. */
import { refusedField, useAct } from "../../asked.js";
import { Button } from "../../components/button.js";
import { Checks, Field, Select, SelectField, Switch, TextField } from "../../components/field.js";
import { ErrorNote, Note } from "../../components/states.js";
import { patch, post } from "../../http.js";
import { html, useState } from "../../lib.js";
import { models } from "../../models.js";
import { Said } from "../rows.js";
import { changesOf, PRIORITIES, SCOPES } from "./changes.js";
import { CHOICES, fieldsOf, instantOf, offsetOf, written } from "./expiry.js";
import { LimitFields, NO_LIMITS } from "./limits.js";

/** record: the key to change, null for a new one. accounts: those it may belong to. own: whether this tab uses it. onDone
 * gets the server's answer. */
export function KeyForm({ record, accounts, own = false, onDone, onClose }) {
  const [values, setValues] = useState(() => ({
    account: record?.account ?? accounts[0]?.id ?? "",
    name: record?.name ?? "",
    scopes: record?.scopes ?? ["inference"],
    models: record?.models ?? null,
    priority: record?.priority ?? "normal",
    limits: record?.limits ?? NO_LIMITS,
    expiry: fieldsOf(record?.expires_at ?? null),
  }));
  const [wrong, setWrong] = useState(null);
  const act = useAct(async () => {
    const body = changesOf(values, record);
    onDone(record ? await patch(`/admin/v1/keys/${record.id}`, body) : await post("/admin/v1/keys", body));
  });
  const set = (name) => (value) => setValues((before) => ({ ...before, [name]: value }));
  const submit = (event) => {
    event.preventDefault();
    const missing =
      (!values.scopes.length && "Choose what the key may do.") ||
      (values.models?.length === 0 && "Choose at least one model, or let the key use all.") ||
      (instantOf(values.expiry) === undefined && "Say until which date and time the key works.");
    setWrong(missing || null);
    if (!missing) act.run();
  };
  const losesAdmin = own && !values.scopes.includes("admin");
  return html`<form class="stack" onSubmit=${submit}>
    ${
      !record &&
      html`<${SelectField} label="Account" value=${values.account} onValue=${set("account")} required options=${accounts.map((one) => [one.id, one.name])} ...${refusedField(act.error, "account")} />`
    }
    <${TextField} label="Name" hint="For you to know it by, such as the program that uses it." autofocus maxlength=${64} autocomplete="off" value=${values.name} onValue=${set("name")} ...${refusedField(act.error, "name")} />
    <${Checks} label="It may" value=${values.scopes} onValue=${set("scopes")} options=${SCOPES} />
    ${losesAdmin && html`<${Note} kind="warn">This tab uses this key. Without administration the console is closed to it.</${Note}>`}
    <${ModelsOfKey} value=${values.models} onValue=${set("models")} />
    <${Expiry} value=${values.expiry} onValue=${set("expiry")} refused=${act.error} />
    <${SelectField}
      label="Priority"
      hint="Where requests wait for a model, those of a higher class go first. A request may ask for a lower one."
      value=${values.priority}
      onValue=${set("priority")}
      options=${PRIORITIES}
    />
    <${LimitFields} value=${values.limits} onValue=${set("limits")} refused=${act.error} />
    <p class="hint">The account's own limits count besides.</p>
    ${wrong && html`<${ErrorNote} error=${{ message: wrong }} />`}
    <${ErrorNote} error=${act.error} />
    <div class="actions">
      <${Button} onClick=${onClose}>Cancel</${Button}>
      <${Button} kind="main" type="submit" busy=${act.busy}>${record ? "Save" : "Create key"}</${Button}>
    </div>
  </form>`;
}

function ModelsOfKey({ value, onValue }) {
  const [other, setOther] = useState("");
  const served = (models.value ?? []).map((model) => model.id);
  // Names that the key has, and that nothing serves now, stay until somebody takes them away.
  const [others, setOthers] = useState(() => (value ?? []).filter((id) => !served.includes(id)));
  const options = [...new Set([...served, ...others])];
  const add = () => {
    const name = other.trim();
    if (!name) return;
    setOthers([...others, name]);
    onValue([...value.filter((id) => id !== name), name]);
    setOther("");
  };
  return html`<div class="stack">
    <${Switch} label="All models" hint="Also those that are installed later." value=${value === null} onValue=${(all) => onValue(all ? null : [])} />
    ${
      value !== null &&
      html`<div class="keys-models">
          <${Checks} label="Only these models" value=${value} onValue=${onValue} options=${options.map((id) => [id, html`<${Said}>${id}</${Said}>`])} />
          ${!options.length && html`<p class="hint">This tab’s key sees no model to choose from. Write its name below.</p>`}
        </div>
        <div class="row">
          <${TextField} label="Another model, by its name" autocomplete="off" spellcheck=${false} value=${other} onValue=${setOther} />
          <${Button} icon="plus" disabled=${!other.trim()} onClick=${add}>Add</${Button}>
        </div>`
    }
  </div>`;
}

function Expiry({ value, onValue, refused }) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const instant = instantOf(value);
  const zones = [
    ["local", `${zone} (${offsetOf(instant ?? Date.now())})`],
    ["utc", "UTC"],
  ].slice(zone === "UTC" ? 1 : 0);
  const choose = (choice) => {
    // A date to begin with, so that its parts need only be changed.
    const at = value.at || written(instant ?? Date.now() + 7 * 86_400_000, value.zone);
    onValue({ ...value, choice, at });
  };
  return html`<div class="stack">
    <${SelectField} label="It ends" value=${value.choice} onValue=${choose} options=${CHOICES} />
    ${
      value.choice === "at" &&
      html`<div class="row">
        <${Field} label="Date and time">
          ${(given) =>
            html`<input class="input" type="datetime-local" required value=${value.at} onInput=${(event) => onValue({ ...value, at: event.currentTarget.value })} ...${given} ...${refusedField(refused, "expires_at")} />`}
        </${Field}>
        <${Field} label="Time zone">
          ${(given) => html`<${Select} value=${value.zone} onValue=${(next) => onValue({ ...value, zone: next })} options=${zones} ...${given} />`}
        </${Field}>
      </div>`
    }
  </div>`;
}
