/** The ledger of an account, the newest entries first. */
import { ask, signed } from "../../amounts.js";
import { Answer } from "../../asked.js";
import { SelectField } from "../../components/field.js";
import { Badge, Empty } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { DownloadButton } from "../../download.js";
import { moment } from "../../format.js";
import { query } from "../../http.js";
import { html, useState } from "../../lib.js";
import { Older, usePages } from "../pages.js";
import { Said } from "../rows.js";

const AT_ONCE = 50;
const KINDS = { grant: "good", charge: "info", hold: "faint", release: "faint" };
const SHOWN = [
  ["grant,charge", "Grants and charges"],
  ["grant", "Grants"],
  ["charge", "Charges"],
  ["", "All, with what was held and released"],
];

/** keys: the names of the account's keys, by id. version: changes when there is something new. */
export function Ledger({ account, keys, version }) {
  const [kind, setKind] = useState(SHOWN[0][0]);
  const url = "/admin/v1/ledger";
  const pages = usePages(
    async (last) => {
      // One more than is shown tells whether there are others.
      const asked = query({ account: account.id, kind, order: "desc", after: last?.id, limit: AT_ONCE + 1 });
      const { data } = await ask("GET", url + asked);
      return { rows: data.slice(0, AT_ONCE), more: data.length > AT_ONCE };
    },
    [account.id, kind, version],
  );
  return html`<div class="stack">
    <div class="row">
      <${SelectField} label="Entries" value=${kind} onValue=${setKind} options=${SHOWN} />
      <${DownloadButton} path=${url + query({ account: account.id, kind, format: "csv" })} name=${`ledger-${account.id}.csv`} />
    </div>
    <${Answer} asked=${pages} label="Loading the ledger">
      ${(rows) =>
        html`<${Table}
          label="Ledger"
          rows=${rows}
          empty=${html`<${Empty} icon="file" title="No entry yet"><p>What is given, and what requests cost, will stand here.</p></${Empty}>`}
          columns=${[
            { title: "Time", cell: (entry) => moment(entry.created_at) },
            { title: "Kind", cell: (entry) => html`<${Badge} kind=${KINDS[entry.kind]}>${entry.kind}</${Badge}>` },
            { title: "Credits", number: true, cell: (entry) => signed(entry.amount) },
            { title: "Note", wide: true, cell: (entry) => html`<${Said}>${entry.note}</${Said}>` },
            {
              title: "Key",
              cell: (entry) => entry.key && html`<${Said}>${keys.get(entry.key) || entry.key}</${Said}>`,
            },
            { title: "Reference", cell: (entry) => html`<code>${entry.reference}</code>` },
          ]}
        />`}
    </${Answer}>
    <${Older} pages=${pages} />
  </div>`;
}
