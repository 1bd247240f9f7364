/** The documents of a dataset: added by drop, watched while they are read, retried, cancelled, deleted. */
import { useAct } from "../../asked.js";
import { Button, IconButton } from "../../components/button.js";
import { FileDrop } from "../../components/field.js";
import { Badge, Empty, ErrorNote, Loading, Progress } from "../../components/states.js";
import { Delete } from "../../deleting.js";
import { bytes, count } from "../../format.js";
import { get, patch, query } from "../../http.js";
import { html, useEffect, useRef, useState } from "../../lib.js";
import { refreshDatasets } from "./state.js";
import { stateKind, stateWords, underWay } from "./states.js";
import { arrived, resend, upload, uploads, withdraw } from "./uploads.js";

const SOON = 1_000;
const LATER = 3_000;
const PAGE = 100;
const MOST = 1_000;

export function Documents({ dataset }) {
  const { documents, more, error, refresh, show } = useDocuments(dataset);
  const [doomed, setDoomed] = useState(null);
  const mayEdit = dataset.permission !== "read";
  const own = uploads.value.filter(({ datasetId }) => datasetId === dataset.id);
  return html`<div class="stack">
    ${
      mayEdit &&
      html`<${FileDrop}
        label="Drop files here, or choose them"
        hint="PDF, Word, PowerPoint, Excel, Markdown, HTML, CSV, plain text; recordings too, where a model transcribes"
        multiple
        onFiles=${(files) => upload(dataset.id, files)}
      />`
    }
    <${ErrorNote} error=${error} onRetry=${refresh} />
    ${own.length > 0 && html`<ul role="list" class="sage-documents" aria-label="Uploads">${own.map((one) => html`<${Upload} key=${one.id} one=${one} />`)}</ul>`}
    ${!documents && !error && html`<${Loading} label="Loading the documents" />`}
    ${
      documents?.length === 0 &&
      own.length === 0 &&
      html`<${Empty} icon="file" title="No documents yet">
        <p>${mayEdit ? "Add some: an answer then names the passages that it draws on." : "Whoever may edit this dataset adds them."}</p>
      </${Empty}>`
    }
    ${
      documents?.length > 0 &&
      html`<ul role="list" class="sage-documents" aria-label=${`Documents of ${dataset.name}`}>
        ${documents.map(
          (document) =>
            html`<${Row} key=${document.id} document=${document} mayEdit=${mayEdit} onChanged=${refresh} onDelete=${() => setDoomed(document)} />`,
        )}
      </ul>`
    }
    ${more && html`<div class="actions start"><${Button} small onClick=${show}>Show more</${Button}></div>`}
    <${Delete}
      open=${doomed !== null}
      title="Delete this document?"
      path=${`/v1/documents/${doomed?.id}`}
      done="The document is deleted."
      onClose=${() => setDoomed(null)}
      onGone=${refresh}
    >
      <p class="sage-name">${doomed?.filename}</p>
      <p>No answer draws on it any more. This can't be undone.</p>
    </${Delete}>
  </div>`;
}

/** The newest documents, looked at again while one of them is under way. */
function useDocuments(dataset) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const limit = useRef(PAGE);
  const timer = useRef(0);
  const gone = useRef(false);
  const refresh = async () => {
    clearTimeout(timer.current);
    try {
      const page = await get(`/v1/datasets/${dataset.id}/documents${query({ limit: limit.current })}`);
      if (gone.current) return;
      setFound(page);
      setError(null);
      if (page.data.some(underWay)) timer.current = setTimeout(refresh, SOON);
      else refreshDatasets();
    } catch (failed) {
      if (gone.current) return;
      setError(failed);
      // Once the server is back, what is under way there is looked at again.
      if (failed.offline) timer.current = setTimeout(refresh, LATER);
    }
  };
  useEffect(() => {
    refresh();
  }, [arrived.value]);
  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true;
      clearTimeout(timer.current);
    };
  }, []);
  const show = () => {
    limit.current = Math.min(MOST, limit.current + PAGE);
    refresh();
  };
  return {
    documents: found?.data ?? null,
    more: (found?.has_more ?? false) && limit.current < MOST,
    error,
    refresh,
    show,
  };
}

function Upload({ one }) {
  const { file, state, error } = one;
  return html`<li>
    <div class="sage-document">
      <span class="sage-filename">${file.name}</span>
      <span class="hint">${bytes(file.size)}</span>
      <${Badge} kind=${state === "failed" ? "bad" : "info"}>${{ waiting: "Waits to be sent", sending: "Sending", failed: "Not sent" }[state]}</${Badge}>
      <span class="sage-buttons">
        ${state === "failed" && html`<${IconButton} icon="again" label=${`Send ${file.name} again`} onClick=${() => resend(one.id)} />`}
        <${IconButton} icon="close" label=${`Don't send ${file.name}`} onClick=${() => withdraw(one.id)} />
      </span>
    </div>
    ${state === "sending" && html`<${Progress} label=${`Sending ${file.name}`} />`}
    <${ErrorNote} error=${error} />
  </li>`;
}

function Row({ document, mayEdit, onChanged, onDelete }) {
  const act = useAct(async (state) => {
    await patch(`/v1/documents/${document.id}`, { state });
    await onChanged();
  });
  const { filename } = document;
  const again = document.state === "failed" || document.state === "cancelled";
  return html`<li>
    <div class="sage-document">
      <span class="sage-filename">${filename}</span>
      <span class="hint">${bytes(document.size)}${document.state === "ready" ? ` · ${count(document.passages, "passage")}` : ""}</span>
      <${Badge} kind=${stateKind(document)}>${stateWords(document)}</${Badge}>
      ${
        mayEdit &&
        html`<span class="sage-buttons">
          ${again && html`<${IconButton} icon="again" label=${`Try ${filename} again`} disabled=${act.busy} onClick=${() => act.run("queued")} />`}
          ${underWay(document) && html`<${IconButton} icon="stop" label=${`Cancel ${filename}`} disabled=${act.busy} onClick=${() => act.run("cancelled")} />`}
          <${IconButton} icon="trash" label=${`Delete ${filename}`} onClick=${onDelete} />
        </span>`
      }
    </div>
    ${underWay(document) && html`<${Progress} label=${`${filename}: ${stateWords(document)}`} value=${document.total ? document.done : null} most=${document.total || 1} />`}
    ${document.error && html`<p class="field-error">${document.error}</p>`}
    <${ErrorNote} error=${act.error} />
  </li>`;
}
