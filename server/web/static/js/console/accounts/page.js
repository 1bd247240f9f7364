/** One account: what it owns, its keys, its ledger, its usage. */
import { ask, shown } from "../../amounts.js";
import { Answer, useAct, useAsked } from "../../asked.js";
import { Button } from "../../components/button.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { Icon } from "../../components/icon.js";
import { Badge, ErrorNote, Stat } from "../../components/states.js";
import { Tabs } from "../../components/tabs.js";
import { toast } from "../../components/toasts.js";
import { moment } from "../../format.js";
import { get, query } from "../../http.js";
import { html, useEffect, useRef, useState } from "../../lib.js";
import { key } from "../../session.js";
import { limitsText } from "../keys/limits.js";
import { KeyList } from "../keys/list.js";
import { Said } from "../rows.js";
import { UsageView } from "../usage/view.js";
import { AccountForm } from "./form.js";
import { Grant } from "./grant.js";
import { Ledger } from "./ledger.js";

export function AccountPage({ id }) {
  const asked = useAsked(
    (signal) => ask("GET", `/admin/v1/accounts/${encodeURIComponent(id)}`, { signal }),
    [id, key.value],
  );
  return html`<div class="stack">
    <p><a class="accounts-back" href="#accounts"><${Icon} name="left" />All accounts</a></p>
    <${Answer} asked=${asked} label="Loading the account">
      ${(account) => html`<${Shown} account=${account} onChanged=${asked.again} />`}
    </${Answer}>
  </div>`;
}

function Shown({ account, onChanged }) {
  const [open, setOpen] = useState("");
  const [tab, setTab] = useState("keys");
  const [version, setVersion] = useState(0);
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  const close = () => setOpen("");
  const done = (text) => {
    close();
    toast(text);
    setVersion(version + 1);
    onChanged();
  };
  const closed = account.closed_at !== null;
  return html`
    <div class="card-head">
      <h2 tabindex="-1" ref=${heading}><${Said}>${account.name}</${Said}> ${closed && html`<${Badge}>closed</${Badge}>`}</h2>
      <div class="actions">
        <${Button} kind="main" icon="plus" onClick=${() => setOpen("grant")}>Give or take credits</${Button}>
        <${Button} icon="edit" onClick=${() => setOpen("change")}>Change</${Button}>
        <${Button} icon=${closed ? "again" : "lock"} onClick=${() => setOpen("closing")}>${closed ? "Open again" : "Close account"}</${Button}>
      </div>
    </div>
    <dl class="stats card">
      <${Stat} label="Available" value=${shown(account.available)} hint=${account.metered ? "credits" : "It does not pay"} />
      <${Stat} label="Held" value=${shown(account.held)} hint="for requests that run now" />
      <${Stat} label="Balance" value=${shown(account.balance)} hint="available and held" />
      <${Stat} label="Limits" value=${html`<span class="accounts-fact">${limitsText(account.limits)}</span>`} />
      <${Stat} label="Weight" value=${account.weight} />
      <${Stat} label="E-mail address" value=${html`<span class="accounts-fact"><${Said}>${account.email ?? "none"}</${Said}></span>`} />
      <${Stat} label="Id" value=${html`<code class="accounts-fact">${account.id}</code>`} hint=${`made ${moment(account.created_at)}${closed ? `, closed ${moment(account.closed_at)}` : ""}`} />
    </dl>
    <${Tabs} label="Of this account" tabs=${[["keys", "Keys"], ["ledger", "Ledger"], ["usage", "Usage"]]} value=${tab} onValue=${setTab}>
      ${tab === "keys" && html`<${KeyList} key=${closed} accounts=${[account]} account=${account} />`}
      ${tab === "ledger" && html`<${LedgerWithNames} account=${account} version=${version} />`}
      ${tab === "usage" && html`<${UsageView} path="/admin/v1/usage" fixed=${{ account: account.id }} groups=${["model", "key", "task", "day"]} />`}
    </${Tabs}>
    <${Dialog} open=${open === "change"} title="Change the account" onClose=${close}>
      <${AccountForm} record=${account} onDone=${() => done("The account is changed.")} onClose=${close} />
    </${Dialog}>
    ${open === "grant" && html`<${Grant} account=${account} onDone=${(answer) => done(`The balance is ${shown(answer.balance)} now.`)} onClose=${close} />`}
    ${open === "closing" && html`<${Closing} account=${account} onDone=${() => done(closed ? "The account is open again." : "The account is closed.")} onClose=${close} />`}
  `;
}

function LedgerWithNames({ account, version }) {
  const asked = useAsked((signal) => get(`/admin/v1/keys${query({ account: account.id })}`, { signal }), [account.id]);
  return html`<${Answer} asked=${asked} label="Loading the ledger">
    ${({ data }) => html`<${Ledger} account=${account} keys=${new Map(data.map((one) => [one.id, one.name]))} version=${version} />`}
  </${Answer}>`;
}

function Closing({ account, onDone, onClose }) {
  const closed = account.closed_at !== null;
  const act = useAct(async () => {
    await ask("PATCH", `/admin/v1/accounts/${account.id}`, { json: { closed: !closed } });
    onDone();
  });
  const [title, verb] = closed ? ["Open this account again?", "Open again"] : ["Close this account?", "Close account"];
  return html`<${Confirm} open title=${title} action=${verb} busy=${act.busy} onYes=${act.run} onClose=${onClose}>
    <p>${closed ? "Its keys work again, with the credits that it has." : "None of its keys works until it is opened again. Its money and its history stay."}</p>
    <${ErrorNote} error=${act.error} />
  </${Confirm}>`;
}
