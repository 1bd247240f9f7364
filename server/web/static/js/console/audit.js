/** The audit log: who administered what, the newest first. */
import { ask } from "../amounts.js";
import { Answer, useAsked } from "../asked.js";
import { SelectField, TextField } from "../components/field.js";
import { Empty } from "../components/states.js";
import { Table } from "../components/table.js";
import { moment } from "../format.js";
import { get, query } from "../http.js";
import { html, useState } from "../lib.js";
import { key } from "../session.js";
import { actionText, detailLines, isSaying } from "./audit/acts.js";
import { Older, usePages } from "./pages.js";
import { matches, Said } from "./rows.js";

const AT_ONCE = 100;
/** Characters of a detail that stand in its row. */
const LONG = 120;

export function Audit() {
  const pages = usePages(
    async (last) => {
      const found = await get(`/admin/v1/audit${query({ limit: AT_ONCE, before: last?.id })}`);
      return { rows: found.data, more: found.has_more };
    },
    [key.value],
  );
  // Names of what the ids stand for: a help to the reader, without which the log is shown as well.
  const names = useAsked(
    async (signal) => {
      const [keys, accounts] = await Promise.all([
        get("/admin/v1/keys", { signal }),
        ask("GET", "/admin/v1/accounts", { signal }),
      ]);
      return new Map([...keys.data, ...accounts.data].map((one) => [one.id, one.name]));
    },
    [key.value],
  );
  return html`<${Answer} asked=${pages} label="Loading the audit log" lines=${8}>
    ${(acts) => html`<${Acts} acts=${acts} names=${names.data ?? new Map()} pages=${pages} />`}
  </${Answer}>`;
}

function Acts({ acts, names, pages }) {
  const [search, setSearch] = useState("");
  const [action, setAction] = useState("");
  const actions = [...new Set(acts.map((act) => act.action))].sort();
  // An account is told by its name, where there is one.
  const lines = (act) =>
    detailLines(act.details)
      .filter(isSaying)
      .map(([name, ...values]) => [name, ...values.map((value) => names.get(value) || value)]);
  const rows = acts
    .filter((act) => !action || act.action === action)
    .filter((act) =>
      matches(search, [
        actorText(act, names),
        act.actor,
        actionText(act.action),
        act.action,
        act.target,
        names.get(act.target) ?? "",
        ...lines(act).flat(),
      ]),
    );
  return html`
    <div class="row">
      <${TextField} label="Search what is shown" type="search" placeholder="Who, what, a name or an id" value=${search} onValue=${setSearch} />
      <${SelectField} label="Action" value=${action} onValue=${setAction} options=${[["", "All"], ...actions.map((one) => [one, actionText(one)])]} />
    </div>
    <p class="hint" role="status">${rows.length} of the ${acts.length} ${pages.more ? "newest acts" : "acts"}</p>
    <${Table}
      label="Audit log"
      rows=${rows}
      empty=${html`<${Empty} icon="search" title="No act matches"><p>${pages.more ? "Older ones can be brought in below." : "Search for something else."}</p></${Empty}>`}
      columns=${[
        { title: "Time", cell: (act) => moment(act.at) },
        {
          title: "Who",
          cell: (act) => html`<${Said}>${actorText(act, names)}</${Said}>`,
        },
        { title: "Action", cell: (act) => actionText(act.action) },
        { title: "On", cell: (act) => html`<${Target} id=${act.target} name=${names.get(act.target)} />` },
        { title: "Details", wide: true, cell: (act) => html`<${Details} lines=${lines(act)} />` },
      ]}
    />
    <${Older} pages=${pages} />
  `;
}

function actorText(act, names) {
  return act.actor === "local" ? "the command line" : names.get(act.actor) || act.actor;
}

function Target({ id, name }) {
  const shown = html`<${Said}>${name || id}</${Said}>`;
  return id.startsWith("acct_") ? html`<a href=${`#accounts/${id}`}>${shown}</a>` : shown;
}

function Details({ lines }) {
  return html`<ul role="list" class="audit-details">
    ${lines.map(
      ([name, was, now]) => html`<li key=${name}>
        <span class="hint">${name.replaceAll("_", " ")}</span> <${Value} text=${was} />
        ${now !== undefined && html`<span aria-label="became"> → </span><${Value} text=${now} />`}
      </li>`,
    )}
  </ul>`;
}

/** A persona's prompt has pages: its beginning, and the whole on demand. */
function Value({ text }) {
  if (text.length <= LONG) return html`<${Said}>${text}</${Said}>`;
  return html`<details class="audit-long"><summary><${Said}>${text.slice(0, LONG)}…</${Said}></summary><${Said}>${text}</${Said}></details>`;
}
