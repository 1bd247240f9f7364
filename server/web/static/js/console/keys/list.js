/** Keys as a table, with all that can be done to them: of one account, or of all. */
import { Answer, useAct, useAsked } from "../../asked.js";
import { Button, IconButton } from "../../components/button.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { SelectField, TextField } from "../../components/field.js";
import { Badge, Empty, ErrorNote, Note } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { count, moment } from "../../format.js";
import { get, query, remove } from "../../http.js";
import { html, useState } from "../../lib.js";
import { look, me, key as tabKey } from "../../session.js";
import { LongTable, matches, Said } from "../rows.js";
import { KeyForm } from "./form.js";
import { limitsText } from "./limits.js";
import { ShownOnce } from "./shown_once.js";

const STATES = [
  ["", "All"],
  ["active", "Active"],
  ["expired", "Expired"],
  ["revoked", "Revoked"],
  ["closed", "Account closed"],
];
const called = (record) => record.name || "without a name";

/** accounts: all that there are, or the one whose keys are shown (`account`). */
export function KeyList({ accounts, account = null }) {
  const asked = useAsked(
    (signal) => get(`/admin/v1/keys${query({ account: account?.id })}`, { signal }),
    [account?.id, tabKey.value],
  );
  const [open, setOpen] = useState(null);
  const [warnings, setWarnings] = useState([]);
  const close = () => setOpen(null);
  const made = (answer) => {
    setOpen({ act: "made", answer });
    setWarnings([]);
    asked.again();
  };
  const changed = (answer) => {
    close();
    setWarnings(answer.warnings);
    toast(`The key ${called(answer)} is changed.`);
    if (answer.id === me.value?.id) look();
    asked.again();
  };
  const usable = accounts.filter((one) => one.closed_at === null);
  return html`<div class="stack">
    ${warnings.length > 0 && html`<${Note} kind="warn">${warnings.map((warning) => html`<p key=${warning}>${warning}</p>`)}</${Note}>`}
    <${Answer} asked=${asked} label="Loading the keys">
      ${({ data }) =>
        html`<${Found}
          keys=${data}
          accounts=${accounts}
          account=${account}
          onCreate=${usable.length ? () => setOpen({ act: "create" }) : null}
          onAct=${(act, record) => setOpen({ act, record })}
        />`}
    </${Answer}>
    <${Dialog} open=${open?.act === "create"} title="Create a key" onClose=${close}>
      <${KeyForm} record=${null} accounts=${usable} onDone=${made} onClose=${close} />
    </${Dialog}>
    <${Dialog} open=${open?.act === "change"} title=${`Change the key ${open?.record && called(open.record)}`} onClose=${close}>
      ${open?.act === "change" && html`<${KeyForm} record=${open.record} accounts=${accounts} own=${open.record.id === me.value?.id} onDone=${changed} onClose=${close} />`}
    </${Dialog}>
    ${
      open?.act === "revoke" &&
      html`<${Revoke} record=${open.record} onClose=${close} onDone=${() => {
        close();
        toast(`The key ${called(open.record)} is revoked.`);
        asked.again();
      }} />`
    }
    ${open?.act === "made" && html`<${ShownOnce} made=${open.answer} onClose=${close} />`}
  </div>`;
}

function Found({ keys, accounts, account, onCreate, onAct }) {
  const [search, setSearch] = useState("");
  const [state, setState] = useState("");
  const [owner, setOwner] = useState("");
  const names = new Map(accounts.map((one) => [one.id, one.name]));
  const rows = keys
    .filter((one) => (!state || one.state === state) && (!owner || one.account === owner))
    .filter((one) => matches(search, [one.name, one.prefix, one.id, names.get(one.account) ?? ""]))
    .reverse();
  const create = html`<${Button} kind="main" icon="plus" disabled=${!onCreate} onClick=${onCreate}>Create key</${Button}>`;
  if (!keys.length)
    return html`<${Empty} icon="key" title="No key yet"><p>A program needs a key to use this server.</p>${create}</${Empty}>`;
  // What no key has would only take room.
  const set = (has) => keys.some(has);
  const columns = [
    {
      title: "Name",
      cell: (one) => html`<span class="keys-name">
        <span><${Said}>${one.name || html`<span class="hint">without a name</span>`}</${Said}>${one.id === me.value?.id && html` <${Badge} kind="info">this tab’s key</${Badge}>`}</span>
        <code class="hint">${one.prefix}…</code>
      </span>`,
    },
    !account && {
      title: "Account",
      cell: (one) =>
        html`<a href=${`#accounts/${one.account}`}><${Said}>${names.get(one.account) ?? one.account}</${Said}></a>`,
    },
    // Revoked is what somebody wanted, and no fault.
    {
      title: "State",
      cell: (one) => html`<${Badge} kind=${one.state === "revoked" ? "faint" : undefined}>${one.state}</${Badge}>`,
    },
    { title: "May", cell: (one) => one.scopes.join(", ") },
    { title: "Models", cell: (one) => html`<${ModelNames} names=${one.models} />` },
    set((one) => limitsText(one.limits) !== "none") && { title: "Limits", cell: (one) => limitsText(one.limits) },
    set((one) => one.priority !== "normal") && { title: "Priority", cell: (one) => one.priority },
    { title: "Last used", cell: (one) => (one.last_used_at ? moment(one.last_used_at) : "never") },
    { title: "Ends", cell: (one) => (one.expires_at ? moment(one.expires_at) : "never") },
    {
      title: "Actions",
      hidden: true,
      cell: (one) =>
        html`<span class="keys-acts">
          ${
            one.state !== "revoked" &&
            html`<${IconButton} icon="edit" label=${`Change the key ${called(one)}`} onClick=${() => onAct("change", one)} />
              <${IconButton} icon="trash" label=${`Revoke the key ${called(one)}`} onClick=${() => onAct("revoke", one)} />`
          }
        </span>`,
    },
  ].filter(Boolean);
  return html`
    <div class="row">
      <${TextField} label="Search" type="search" placeholder="Name, beginning or id" value=${search} onValue=${setSearch} />
      ${!account && html`<${SelectField} label="Account" value=${owner} onValue=${setOwner} options=${[["", "All"], ...accounts.map((one) => [one.id, one.name])]} />`}
      <${SelectField} label="State" value=${state} onValue=${setState} options=${STATES} />
      ${create}
    </div>
    <p class="hint" role="status">${rows.length === keys.length ? count(keys.length, "key") : `${rows.length} of ${count(keys.length, "key")}`}</p>
    <${LongTable} label="Keys" rows=${rows} columns=${columns} empty=${html`<${Empty} icon="search" title="No key matches"><p>Search for something else, or choose another state.</p></${Empty}>`} />
  `;
}

function ModelNames({ names }) {
  if (names === null) return "all";
  if (names.length < 3) return html`<${Said}>${names.join(", ")}</${Said}>`;
  return html`<details class="keys-names"><summary>${names.length} models</summary>${names.map((name) => html`<div key=${name}><${Said}>${name}</${Said}></div>`)}</details>`;
}

function Revoke({ record, onDone, onClose }) {
  const own = record.id === me.value?.id;
  const act = useAct(async () => {
    await remove(`/admin/v1/keys/${record.id}`);
    onDone();
  });
  return html`<${Confirm} open title="Revoke this key?" action="Revoke key" busy=${act.busy} onYes=${act.run} onClose=${onClose}>
    <p>Requests with <strong><${Said}>${called(record)}</${Said}></strong> (<code>${record.prefix}…</code>) are refused from now on. This can’t be undone; the account’s money and history stay.</p>
    ${own && html`<${Note} kind="warn"><p><strong>This tab uses this key.</strong> The console closes at once; have another key with the scope <code>admin</code> at hand.</p></${Note}>`}
    <${ErrorNote} error=${act.error} />
  </${Confirm}>`;
}
