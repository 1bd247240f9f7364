/** A document opened at a passage: its text, with the passage lit and in view. */
import { Button } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { ErrorNote, Loading } from "../../components/states.js";
import { count } from "../../format.js";
import { get, query } from "../../http.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../../lib.js";
import { paragraphs, pieces, shortName, whereabouts } from "./passages.js";

const AROUND = 21;
const MORE = 20;

/** citation: of an answer, or null; then nothing is shown. */
export function Reading({ citation, onClose }) {
  return html`<${Dialog} open=${citation !== null} wide title=${citation?.filename ?? ""} onClose=${onClose}>
    ${citation && html`<${Document} key=${`${citation.document_id} ${citation.place}`} citation=${citation} />`}
  </${Dialog}>`;
}

function Document({ citation }) {
  const [found, setFound] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const mark = useRef(null);
  const path = `/v1/documents/${citation.document_id}/passages`;
  const load = async (parameters, join) => {
    setBusy(true);
    try {
      const page = await get(path + query(parameters));
      setFound((before) => join(before, page));
      setError(null);
    } catch (failed) {
      setError(failed);
    } finally {
      setBusy(false);
    }
  };
  const begin = () => load({ around: citation.place, limit: AROUND }, (_, page) => page);
  useEffect(() => {
    begin();
  }, []);
  useLayoutEffect(() => {
    mark.current?.scrollIntoView({ block: "center" });
  }, [found !== null]);

  const about = html`<p class="hint">
    ${[whereabouts(citation), `in the dataset ${shortName(citation.dataset)}`, citation.context].filter(Boolean).join(" · ")}
  </p>`;
  if (error && !found) {
    return html`${about}
      <${ErrorNote} error=${error} onRetry=${begin} />
      <h3>The passage, as the answer had it</h3>
      <p class="sage-text"><mark>${citation.text}</mark></p>`;
  }
  if (!found) return html`${about}<${Loading} label="Opening the document" lines=${6} />`;
  const passages = found.data;
  const first = passages[0]?.place ?? 0;
  const last = passages.at(-1)?.place ?? 0;
  const earlier = () => {
    const start = Math.max(0, first - MORE);
    load({ start, limit: first - start }, (before, page) => ({ ...before, data: [...page.data, ...before.data] }));
  };
  const later = () => {
    load({ start: last + 1, limit: MORE }, (before, page) => ({ ...page, data: [...before.data, ...page.data] }));
  };
  return html`
    ${about}
    <p class="hint">Passages ${first + 1} to ${last + 1} of ${count(found.document.passages, "passage")}. The one that the answer draws on is marked.</p>
    <div class="sage-reading" role="region" aria-label="Text of the document" tabindex="0">
      ${first > 0 && html`<div class="actions start"><${Button} small icon="up" busy=${busy} onClick=${earlier}>Show what is before</${Button}></div>`}
      ${paragraphs(pieces(passages, citation.place)).map((found) => html`<${Paragraph} key=${found[0].place} pieces=${found} mark=${mark} />`)}
      ${found.has_more && html`<div class="actions start"><${Button} small icon="down" busy=${busy} onClick=${later}>Show what follows</${Button}></div>`}
    </div>
    <${ErrorNote} error=${error} />
  `;
}

function Paragraph({ pieces: found, mark }) {
  const { heading, page } = found[0];
  return html`
    ${page !== null && html`<p class="sage-page">Page ${page}</p>`}
    ${heading && html`<h3 class="sage-heading">${heading}</h3>`}
    <p class="sage-text">${found.map(({ cited, text, gap }) => [gap, cited ? html`<mark ref=${mark}>${text}</mark>` : text])}</p>
  `;
}
