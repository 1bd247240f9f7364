/** Models that are configured and whose files are not on the machine, with the command that brings each. */
import { CopyButton } from "../../components/button.js";
import { Table } from "../../components/table.js";
import { html } from "../../lib.js";

const COLUMNS = [
  { title: "Model", cell: (model) => html`<strong>${model.id}</strong>` },
  { title: "Does", cell: (model) => model.tasks.join(", ") },
  { title: "Bring it by", wide: true, cell: (model) => html`<${Command} text=${model.fetch} />` },
  {
    title: "Missing files",
    wide: true,
    cell: (model) => model.missing.map((file) => html`<code key=${file} class="ops-line">${file}</code>`),
  },
];

function Command({ text }) {
  if (!text) return html`<span class="hint">Its config names no command (<code>fetch</code>).</span>`;
  return html`<span class="ops-command"><code>${text}</code> <${CopyButton} text=${text} /></span>`;
}

export function Missing({ models }) {
  if (!models.length) return null;
  return html`<section class="stack" aria-labelledby="not-installed">
    <h2 id="not-installed">Not installed</h2>
    <p class="hint">Run the command on the server's machine, and then start the server again.</p>
    <${Table} label="Models that are not installed" columns=${COLUMNS} rows=${models} />
  </section>`;
}
