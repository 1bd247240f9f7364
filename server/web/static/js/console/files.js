/** Files: what accounts keep here for batches and requests, with their size and end. */
import { Answer, useAct, useAgain, useAsked } from "../asked.js";
import { Button, IconButton } from "../components/button.js";
import { SelectField, TextField } from "../components/field.js";
import { Badge, Empty, ErrorNote } from "../components/states.js";
import { Table } from "../components/table.js";
import { Delete } from "../deleting.js";
import { save } from "../download.js";
import { bytes, count, moment } from "../format.js";
import { get, query } from "../http.js";
import { html, useState } from "../lib.js";
import { isAdmin, key, mayInfer } from "../session.js";
import { contentOf, isOwn } from "./batches/wire.js";
import { NewFile } from "./files/new.js";
import { kindOf, PURPOSES, purposeWords } from "./files/purposes.js";
import { matches, Said } from "./rows.js";

const AT_ONCE = 100;
const SOON = 10_000;

const root = () => (isAdmin.value ? "/admin/v1/files" : "/v1/files");

export function Files() {
  const [pages, setPages] = useState(1);
  const [purpose, setPurpose] = useState("");
  const asked = useAsked(
    async (signal) => {
      const rows = [];
      let more = true;
      for (let page = 0; more && page < pages; page += 1) {
        const found = await get(root() + query({ limit: AT_ONCE, after: rows.at(-1)?.id, purpose }), { signal });
        rows.push(...found.data);
        more = found.has_more && found.data.length > 0;
      }
      return { rows, more };
    },
    [pages, purpose, key.value],
  );
  useAgain(asked, () => true, SOON);
  return html`<${Answer} asked=${asked} label="Loading the files" lines=${6}>
    ${(found) => html`<${Found} found=${found} purpose=${purpose} onPurpose=${setPurpose} onChanged=${asked.again} onOlder=${() => setPages(pages + 1)} />`}
  </${Answer}>`;
}

function Found({ found, purpose, onPurpose, onChanged, onOlder }) {
  const [search, setSearch] = useState("");
  const [doomed, setDoomed] = useState(null);
  const { rows, more } = found;
  const download = useAct((file) => save(contentOf(file.id), file.filename));
  const shown = rows.filter(({ id, filename, account }) => matches(search, [id, filename, account?.name ?? ""]));
  const total = bytes(rows.reduce((sum, file) => sum + file.bytes, 0));
  return html`
    ${mayInfer.value && html`<${NewFile} open=${rows.length === 0} onDone=${onChanged} />`}
    ${
      (rows.length > 0 || purpose) &&
      html`<div class="row">
          <${TextField} label="Search what is shown" type="search" placeholder=${`Name${isAdmin.value ? ", account" : ""} or id`} value=${search} onValue=${setSearch} />
          <${SelectField} label="For" value=${purpose} onValue=${onPurpose} options=${[["", "All"], ...PURPOSES]} />
        </div>
        <p class="hint" role="status">${shown.length === rows.length ? `${more ? `The ${rows.length} newest files` : count(rows.length, "file")}, ${total}` : `${shown.length} of the ${rows.length} newest files`}</p>`
    }
    <${ErrorNote} error=${download.error} />
    <${Table}
      label="Files"
      rows=${shown}
      empty=${
        rows.length || purpose
          ? html`<${Empty} icon="search" title="No file matches"><p>${more ? "Older ones can be brought in below." : "Search for something else, or choose another purpose."}</p></${Empty}>`
          : html`<${Empty} icon="file" title="No files yet"><p>A file that is kept here can be named in requests by its id, and a <a href="#batches">batch</a> is made of one.</p></${Empty}>`
      }
      columns=${[
        { title: "File", cell: (file) => html`<${Name} file=${file} />` },
        {
          title: "For",
          cell: (file) => html`<${Badge} kind=${kindOf(file.purpose)}>${purposeWords(file.purpose)}</${Badge}>`,
        },
        { title: "Size", number: true, cell: (file) => bytes(file.bytes) },
        isAdmin.value && {
          title: "Account",
          cell: ({ account }) =>
            account
              ? html`<a href=${`#accounts/${account.id}`}><${Said}>${account.name || account.id}</${Said}></a>`
              : "–",
        },
        {
          title: "Stored",
          cell: ({ created_at: since, expires_at: end }) => html`<span class="batches-name">
            <span>${moment(since)}</span>
            <span class="hint">${end ? `expires ${moment(end)}` : "does not expire"}</span>
          </span>`,
        },
        {
          title: "Actions",
          hidden: true,
          cell: (file) => html`<span class="keys-acts">
            ${isOwn(file) && html`<${IconButton} icon="download" label=${`Download ${file.filename}`} disabled=${download.busy} onClick=${() => download.run(file)} />`}
            <${IconButton} icon="trash" label=${`Delete ${file.filename}`} onClick=${() => setDoomed(file)} />
          </span>`,
        },
      ].filter(Boolean)}
    />
    ${more && html`<div class="actions start"><${Button} small icon="down" onClick=${onOlder}>Show older</${Button}></div>`}
    <${Delete}
      open=${doomed !== null}
      title="Delete this file?"
      path=${`${root()}/${encodeURIComponent(doomed?.id)}`}
      done="The file is deleted."
      onClose=${() => setDoomed(null)}
      onGone=${onChanged}
    >
      <p class="files-name"><strong>${doomed?.filename}</strong>${doomed?.account && !isOwn(doomed) && html` of <${Said}>${doomed.account.name}</${Said}>`}</p>
      <p>No request can name it any more. ${doomed?.purpose === "batch" && "A batch that was made of it goes on. "}This can’t be undone.</p>
    </${Delete}>
  `;
}

function Name({ file }) {
  return html`<span class="batches-name"><${Said}>${file.filename}</${Said}><code class="hint">${file.id}</code></span>`;
}
