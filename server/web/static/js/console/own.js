/** What the key of this tab may do, what its account has, and what was used: for every key. */
import { ask, shown } from "../amounts.js";
import { Answer, useAsked } from "../asked.js";
import { Note, Stat } from "../components/states.js";
import { moment } from "../format.js";
import { html } from "../lib.js";
import { key, me, seesUsage } from "../session.js";
import { limitsText } from "./keys/limits.js";
import { Said } from "./rows.js";
import { UsageView } from "./usage/view.js";

export function Own() {
  if (!me.value?.id)
    return html`<${Note}>This server lets everybody use its models, and keeps no account of you. Enter a key to see what it used.</${Note}>`;
  const whose = seesUsage.value ? "Usage of your account" : "Usage of this key";
  return html`
    <${Purse} />
    <${Rights} key=${me.value.id} />
    <h2>${whose}</h2>
    <${UsageView} path="/v1/usage" groups=${seesUsage.value ? ["model", "key", "task", "day"] : ["model", "task", "day"]} />
  `;
}

function Purse() {
  const asked = useAsked((signal) => ask("GET", "/v1/credits", { signal }), [key.value]);
  return html`<${Answer} asked=${asked} label="Loading the balance" lines=${2}>
    ${(purse) => html`<dl class="stats card">
      <${Stat} label="Available" value=${shown(purse.available)} hint=${purse.metered ? "credits" : "This account does not pay"} />
      <${Stat} label="Held" value=${shown(purse.held)} hint="for requests that run now" />
      <${Stat} label="Balance" value=${shown(purse.balance)} hint="available and held" />
    </dl>`}
  </${Answer}>`;
}

function Rights() {
  const { name, account, scopes, models, limits, priority, expires_at: ends } = me.value;
  return html`<dl class="own-rights card">
    <dt>Key</dt><dd><${Said}>${name || "without a name"}</${Said}></dd>
    <dt>Account</dt><dd><${Said}>${account.name}</${Said}></dd>
    <dt>It may</dt><dd>${scopes.join(", ")}</dd>
    <dt>Models</dt><dd>${models === null ? "all" : html`<${Said}>${models.join(", ") || "none"}</${Said}>`}</dd>
    <dt>Limits</dt><dd>${limitsText(limits)}</dd>
    <dt>Priority</dt><dd>${priority}</dd>
    <dt>It ends</dt><dd>${ends ? moment(ends) : "never"}</dd>
  </dl>`;
}
