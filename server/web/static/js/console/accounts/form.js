/** The form of an account, for a new one and for a change. */
import { ask, HOW, typed } from "../../amounts.js";
import { refusedField, useAct } from "../../asked.js";
import { Button } from "../../components/button.js";
import { NumberField, Switch, TextField } from "../../components/field.js";
import { ErrorNote } from "../../components/states.js";
import { html, useState } from "../../lib.js";
import { LimitFields, NO_LIMITS } from "../keys/limits.js";
import { changesOf } from "./changes.js";

/** record: the account to change, null for a new one. onDone gets the server's answer. */
export function AccountForm({ record, onDone, onClose }) {
  const [values, setValues] = useState(() => ({
    name: record?.name ?? "",
    email: record?.email ?? "",
    credits: "",
    metered: record?.metered ?? true,
    weight: record?.weight ?? 1,
    limits: record?.limits ?? NO_LIMITS,
  }));
  const [wrong, setWrong] = useState(null);
  const act = useAct(async () => {
    const json = changesOf(values, record);
    onDone(
      record
        ? await ask("PATCH", `/admin/v1/accounts/${record.id}`, { json })
        : await ask("POST", "/admin/v1/accounts", { json }),
    );
  });
  const set = (name) => (value) => setValues((before) => ({ ...before, [name]: value }));
  const submit = (event) => {
    event.preventDefault();
    const noAmount = values.credits.trim() !== "" && typed(values.credits) === null;
    setWrong(noAmount ? HOW : null);
    if (!noAmount) act.run();
  };
  return html`<form class="stack" onSubmit=${submit}>
    <${TextField} label="Name" autofocus required maxlength=${64} autocomplete="off" value=${values.name} onValue=${set("name")} ...${refusedField(act.error, "name")} />
    <${TextField} label="E-mail address" hint="By which the Ask Sage API knows it. May be left empty." autocomplete="off" inputmode="email" value=${values.email} onValue=${set("email")} ...${refusedField(act.error, "email")} />
    <${Switch} label="Pays with credits" hint="Otherwise its usage is counted, and nothing is charged." value=${values.metered} onValue=${set("metered")} />
    ${
      !record &&
      html`<${TextField} label="Credits to begin with" inputmode="decimal" autocomplete="off" placeholder="0" value=${values.credits} onValue=${set("credits")} error=${wrong} ...${refusedField(act.error, "credits")} />`
    }
    <${NumberField} label="Weight" hint="Its share where accounts wait for the same model: 2 gets twice as much as 1." required min=${1} max=${100} step=${1} value=${values.weight} onValue=${set("weight")} ...${refusedField(act.error, "weight")} />
    <${LimitFields} value=${values.limits} onValue=${set("limits")} refused=${act.error} />
    <p class="hint">Limits of an account count for all its keys together.</p>
    <${ErrorNote} error=${act.error} />
    <div class="actions">
      <${Button} onClick=${onClose}>Cancel</${Button}>
      <${Button} kind="main" type="submit" busy=${act.busy}>${record ? "Save" : "Create account"}</${Button}>
    </div>
  </form>`;
}
