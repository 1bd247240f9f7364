/** All accounts as a table. */
import { isZero, shown } from "../../amounts.js";
import { Button } from "../../components/button.js";
import { SelectField, TextField } from "../../components/field.js";
import { Badge, Empty } from "../../components/states.js";
import { count, moment } from "../../format.js";
import { html, useState } from "../../lib.js";
import { limitsText } from "../keys/limits.js";
import { LongTable, matches, Said } from "../rows.js";

const STATES = [
  ["", "All"],
  ["open", "Open"],
  ["closed", "Closed"],
];

export function AccountList({ accounts, onCreate }) {
  const [search, setSearch] = useState("");
  const [state, setState] = useState("");
  const rows = accounts
    .filter((one) => !state || (one.closed_at === null) === (state === "open"))
    .filter((one) => matches(search, [one.name, one.email ?? "", one.id, String(one.number ?? "")]));
  const create = html`<${Button} kind="main" icon="plus" onClick=${onCreate}>Create account</${Button}>`;
  if (!accounts.length)
    return html`<${Empty} title="No account yet"><p>An account has keys, and the credits that they spend.</p>${create}</${Empty}>`;
  return html`
    <div class="row">
      <${TextField} label="Search" type="search" placeholder="Name, e-mail address or id" value=${search} onValue=${setSearch} />
      <${SelectField} label="State" value=${state} onValue=${setState} options=${STATES} />
      ${create}
    </div>
    <p class="hint" role="status">${rows.length === accounts.length ? count(accounts.length, "account") : `${rows.length} of ${count(accounts.length, "account")}`}</p>
    <${LongTable}
      label="Accounts"
      rows=${rows}
      empty=${html`<${Empty} icon="search" title="No account matches"><p>Search for something else, or choose another state.</p></${Empty}>`}
      columns=${[
        {
          title: "Name",
          cell: (one) =>
            html`<a href=${`#accounts/${one.id}`}><${Said}>${one.name}</${Said}></a>${one.closed_at !== null && html` <${Badge}>closed</${Badge}>`}`,
        },
        {
          title: "Available",
          number: true,
          cell: (one) => (one.metered ? shown(one.available) : html`<span class="hint">does not pay</span>`),
        },
        { title: "Held", number: true, cell: (one) => (isZero(one.held) ? "–" : shown(one.held)) },
        { title: "Limits", cell: (one) => limitsText(one.limits) },
        { title: "Weight", number: true, cell: (one) => one.weight },
        { title: "E-mail address", cell: (one) => html`<${Said}>${one.email ?? "–"}</${Said}>` },
        { title: "Made", cell: (one) => moment(one.created_at) },
      ]}
    />
  `;
}
