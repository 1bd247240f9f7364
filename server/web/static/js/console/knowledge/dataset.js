/** One dataset of anybody's: its documents, a search in it, its end. */
import { Answer, useAct, useAgain, useAsked } from "../../asked.js";
import { Button, IconButton } from "../../components/button.js";
import { Select, TextField } from "../../components/field.js";
import { Badge, Empty, ErrorNote, Stat } from "../../components/states.js";
import { Table } from "../../components/table.js";
import { Delete } from "../../deleting.js";
import { bytes, count, moment, number } from "../../format.js";
import { get, patch, query } from "../../http.js";
import { html, useEffect, useRef, useState } from "../../lib.js";
import { whereabouts } from "../../playground/asksage/passages.js";
import { stateKind, stateWords, underWay } from "../../playground/asksage/states.js";
import { key } from "../../session.js";

const SOON = 2_000;
const PAGE = 100;
const MOST = 1_000;
const STATES = [
  ["", "All documents"],
  ["failed", "Failed"],
  ["queued", "Waiting"],
  ["reading", "Reading"],
  ["embedding", "Indexing"],
  ["ready", "Ready"],
  ["cancelled", "Cancelled"],
];

/** dataset: as listed; onBack: to the list; onChange: something in it is not as it was. */
export function Opened({ dataset, onBack, onChange }) {
  const [doomed, setDoomed] = useState(false);
  const back = useRef(null);
  useEffect(() => {
    back.current?.querySelector("button").focus();
  }, []);
  const gone = () => {
    onBack();
    onChange();
  };
  return html`<div class="stack">
    <div ref=${back}><${Button} small icon="left" onClick=${onBack}>All datasets</${Button}></div>
    <div class="card-head">
      <h2 class="knowledge-name">${dataset.name}</h2>
      <${Button} kind="danger" small icon="trash" onClick=${() => setDoomed(true)}>Delete dataset</${Button}>
    </div>
    <dl class="stats">
      <${Stat} label="Account" value=${dataset.owner.name} />
      <${Stat} label="Documents" value=${number(dataset.documents)} />
      <${Stat} label="Passages" value=${number(dataset.passages)} />
      <${Stat} label="Classification" value=${dataset.classification} />
      <${Stat} label="Embedding model" value=${dataset.model ?? "–"} />
      <${Stat} label="Shared with" value=${count(dataset.shared_with, "account")} />
      <${Stat} label="Created" value=${moment(dataset.created_at)} />
    </dl>
    <${Search} dataset=${dataset} />
    <${Documents} dataset=${dataset} onChange=${onChange} />
    <${Delete}
      open=${doomed}
      title="Delete this dataset?"
      path=${`/admin/v1/datasets/${dataset.id}`}
      done="The dataset is deleted."
      onClose=${() => setDoomed(false)}
      onGone=${gone}
    >
      <p><strong class="knowledge-name">${dataset.name}</strong> of ${dataset.owner.name} goes, with ${count(dataset.documents, "document")}. This can't be undone.</p>
    </${Delete}>
  </div>`;
}

/** By words alone, so that it costs nobody anything. */
function Search({ dataset }) {
  const [words, setWords] = useState("");
  const [found, setFound] = useState(null);
  const act = useAct(async () => {
    const asked = query({ query: words.trim(), limit: 10 });
    setFound((await get(`/admin/v1/datasets/${dataset.id}/passages${asked}`)).data);
  });
  const search = (event) => {
    event.preventDefault();
    if (words.trim()) act.run();
  };
  return html`<section class="stack" aria-label="Search">
    <form class="row" onSubmit=${search}>
      <${TextField} label="Search in this dataset" type="search" value=${words} onValue=${setWords} maxlength="2000" />
      <${Button} type="submit" icon="search" busy=${act.busy} disabled=${!words.trim()}>Search</${Button}>
    </form>
    <p class="hint">By words, at nobody's cost. What you look for stands in the audit log.</p>
    <${ErrorNote} error=${act.error} />
    <p class="visually-hidden" role="status">${found ? `${count(found.length, "passage")} found` : ""}</p>
    ${found?.length === 0 && html`<p>No passage has these words.</p>`}
    ${
      found?.length > 0 &&
      html`<ol role="list" class="knowledge-found">
        ${found.map(
          (one) => html`<li key=${`${one.document_id} ${one.place}`} class="card">
            <p><b>${one.filename}</b> <span class="hint">${whereabouts(one)}</span></p>
            <p class="knowledge-text">${one.text}</p>
          </li>`,
        )}
      </ol>`
    }
  </section>`;
}

function Documents({ dataset, onChange }) {
  const [state, setState] = useState("");
  const [limit, setLimit] = useState(PAGE);
  const [error, setError] = useState(null);
  const [failures, setFailures] = useState({});
  const [doomed, setDoomed] = useState(null);
  const [busy, setBusy] = useState("");
  const path = `/admin/v1/datasets/${dataset.id}/documents`;
  const asked = useAsked((signal) => get(path + query({ limit, state }), { signal }), [path, limit, state, key.value]);
  useAgain(asked, (found) => found.data.some(underWay), SOON);
  const refresh = () => {
    onChange();
    return asked.again();
  };

  const change = async (document, to) => {
    try {
      await patch(`/admin/v1/documents/${document.id}`, { state: to });
      setFailures(({ [document.id]: _, ...others }) => others);
    } catch (failed) {
      setFailures((before) => ({ ...before, [document.id]: failed }));
    }
  };
  const one = async (document, to) => {
    setBusy(document.id);
    await change(document, to);
    await refresh();
    setBusy("");
  };
  const retryAll = async () => {
    setBusy("all");
    setError(null);
    try {
      const failed = await get(path + query({ limit: MOST, state: "failed" }));
      for (const document of failed.data) await change(document, "queued");
    } catch (problem) {
      setError(problem);
    }
    await refresh();
    setBusy("");
  };

  const buttons = (document) => html`<span class="knowledge-buttons">
    ${(document.state === "failed" || document.state === "cancelled") && html`<${IconButton} icon="again" label=${`Try ${document.filename} again`} disabled=${busy !== ""} onClick=${() => one(document, "queued")} />`}
    ${underWay(document) && html`<${IconButton} icon="stop" label=${`Cancel ${document.filename}`} disabled=${busy !== ""} onClick=${() => one(document, "cancelled")} />`}
    <${IconButton} icon="trash" label=${`Delete ${document.filename}`} onClick=${() => setDoomed(document)} />
  </span>`;
  return html`<section class="stack" aria-label="Documents">
    <div class="card-head">
      <h3>Documents</h3>
      <div class="knowledge-bar">
        ${dataset.states.failed > 0 && html`<${Button} small icon="again" busy=${busy === "all"} onClick=${retryAll}>Try the failed ones again</${Button}>`}
        <div><${Select} aria-label="Which documents" value=${state} onValue=${setState} options=${STATES} /></div>
      </div>
    </div>
    <${ErrorNote} error=${error} />
    <${Answer} asked=${asked} label="Loading the documents">
      ${(found) => html`<${Table}
        label="Documents"
        rows=${found.data}
        empty=${html`<${Empty} icon="file" title=${state ? "None of them" : "No documents yet"}><p>${state ? "No document is in this state now." : "Its owner adds them in the playground, under Ask Sage."}</p></${Empty}>`}
        columns=${[
          {
            title: "Document",
            wide: true,
            cell: (document) => html`<div class="knowledge-document">
              <b>${document.filename}</b>
              ${document.error && html`<span class="field-error">${document.error}</span>`}
              <${ErrorNote} error=${failures[document.id]} />
            </div>`,
          },
          {
            title: "State",
            cell: (document) => html`<${Badge} kind=${stateKind(document)}>${stateWords(document)}</${Badge}>`,
          },
          { title: "Size", number: true, cell: (document) => bytes(document.size) },
          { title: "Passages", number: true, cell: (document) => number(document.passages) },
          { title: "Added", cell: (document) => moment(document.created_at) },
          { title: "Actions", hidden: true, cell: buttons },
        ]}
      />
      ${found.has_more && (limit < MOST ? html`<div class="actions start"><${Button} small onClick=${() => setLimit(limit + PAGE)}>Show more</${Button}></div>` : html`<p class="hint">The newest ${number(MOST)} are shown. Choose a state to find others, or ask the API for older ones.</p>`)}`}
    </${Answer}>
    <${Delete}
      open=${doomed !== null}
      title="Delete this document?"
      path=${`/admin/v1/documents/${doomed?.id}`}
      done="The document is deleted."
      onClose=${() => setDoomed(null)}
      onGone=${refresh}
    >
      <p class="knowledge-name">${doomed?.filename}</p>
      <p>No answer draws on it any more. This can't be undone.</p>
    </${Delete}>
  </section>`;
}
