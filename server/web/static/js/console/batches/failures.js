/** What is wrong with lines of an input file, and which requests have failed. */
import { Answer, useAsked } from "../../asked.js";
import { Empty } from "../../components/states.js";
import { count, number } from "../../format.js";
import { send } from "../../http.js";
import { html } from "../../lib.js";
import { key } from "../../session.js";
import { LongTable, Said } from "../rows.js";
import { failuresOf, MOST } from "./lines.js";
import { contentOf } from "./wire.js";

const numbered = (rows) => rows.map((row, place) => ({ ...row, place }));

/** Why the file was not taken: what `errors.data` says. */
export function WrongLines({ batch }) {
  const wrong = batch.errors?.data ?? [];
  if (!wrong.length) return null;
  return html`<section class="stack" aria-labelledby="wrong-lines">
    <h2 id="wrong-lines">What is wrong</h2>
    <${LongTable}
      label="What is wrong"
      rows=${numbered(wrong)}
      id=${(row) => row.place}
      columns=${[
        { title: "Line", number: true, cell: ({ line }) => (line === null || line === undefined ? "–" : number(line)) },
        { title: "What is wrong", wide: true, cell: ({ message }) => html`<${Said}>${message ?? ""}</${Said}>` },
        { title: "Field", cell: ({ param }) => (param ? html`<code>${param}</code>` : "–") },
        { title: "Code", cell: ({ code }) => (code ? html`<code>${code}</code>` : "–") },
      ]}
    />
  </section>`;
}

/** The requests that have failed, as the file of errors has them. */
export function Failures({ fileId }) {
  const asked = useAsked(
    async (signal) => failuresOf((await send("GET", contentOf(fileId), { signal })).body),
    [fileId, key.value],
  );
  return html`<section class="stack" aria-labelledby="failed-requests">
    <h2 id="failed-requests">Failed requests</h2>
    <${Answer} asked=${asked} label="Reading the errors">
      ${({ failures, more }) => html`
        <p class="hint" role="status">${more ? `The first ${number(MOST)} are shown; the others are in the file of errors.` : count(failures.length, "request")}</p>
        <${LongTable}
          label="Failed requests"
          rows=${numbered(failures)}
          id=${(row) => row.place}
          empty=${html`<${Empty} title="No request has failed" />`}
          columns=${[
            { title: "Line", number: true, cell: ({ line }) => (line === null ? "–" : number(line)) },
            { title: "custom_id", cell: ({ customId }) => html`<${Said}>${customId || "–"}</${Said}>` },
            { title: "Status", number: true, cell: ({ status }) => status ?? "–" },
            { title: "Why", wide: true, cell: ({ message }) => html`<${Said}>${message || "–"}</${Said}>` },
            { title: "Code", cell: ({ code }) => (code ? html`<code>${code}</code>` : "–") },
            { title: "Field", cell: ({ param }) => (param ? html`<code>${param}</code>` : "–") },
          ]}
        />`}
    </${Answer}>
  </section>`;
}
