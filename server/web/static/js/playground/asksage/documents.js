/** The documents of a dataset: added by drop, watched while they are read, retried, cancelled, deleted. */
import { Button, IconButton } from "../../components/button.js";
import { Confirm } from "../../components/dialog.js";
import { FileDrop } from "../../components/field.js";
import { Badge, Empty, ErrorNote, Loading, Progress } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { bytes, count } from "../../format.js";
import { get, patch, query, remove } from "../../http.js";
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
  const act = async (work) => {
    try {
      await work();
      await refresh();
    } catch (failed) {
      return failed;
    }
    return null;
  };
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
            html`<${Row} key=${document.id} document=${document} mayEdit=${mayEdit} act=${act} onDelete=${() => setDoomed(document)} />`,
        )}
      </ul>`
    }
    ${more && html`<div class="actions start"><${Button} small onClick=${show}>Show more</${Button}></div>`}
    <${Delete} document=${doomed} onClose=${() => setDoomed(null)} onGone=${refresh} />
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

function Row({ document, mayEdit, act, onDelete }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const change = (state) => async () => {
    setBusy(true);
    setError(await act(() => patch(`/v1/documents/${document.id}`, { state })));
    setBusy(false);
  };
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
          ${again && html`<${IconButton} icon="again" label=${`Try ${filename} again`} disabled=${busy} onClick=${change("queued")} />`}
          ${underWay(document) && html`<${IconButton} icon="stop" label=${`Cancel ${filename}`} disabled=${busy} onClick=${change("cancelled")} />`}
          <${IconButton} icon="trash" label=${`Delete ${filename}`} onClick=${onDelete} />
        </span>`
      }
    </div>
    ${underWay(document) && html`<${Progress} label=${`${filename}: ${stateWords(document)}`} value=${document.total ? document.done : null} most=${document.total || 1} />`}
    ${document.error && html`<p class="field-error">${document.error}</p>`}
    <${ErrorNote} error=${error} />
  </li>`;
}

function Delete({ document, onClose, onGone }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const close = () => {
    setError(null);
    onClose();
  };
  const yes = async () => {
    setBusy(true);
    try {
      await remove(`/v1/documents/${document.id}`);
      toast("The document is deleted.");
      close();
      onGone();
    } catch (failed) {
      setError(failed);
    } finally {
      setBusy(false);
    }
  };
  return html`<${Confirm} open=${document !== null} title="Delete this document?" action="Delete" busy=${busy} onYes=${yes} onClose=${close}>
    <p class="sage-name">${document?.filename}</p>
    <p>No answer draws on it any more. This can't be undone.</p>
    <${ErrorNote} error=${error} />
  </${Confirm}>`;
}
