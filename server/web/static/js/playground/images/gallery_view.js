/** The gallery: the pictures that were drawn in this browser. */
import { Button } from "../../components/button.js";
import { Confirm } from "../../components/dialog.js";
import { Empty, Loading, Note } from "../../components/states.js";
import { count } from "../../format.js";
import { html, useEffect, useState } from "../../lib.js";
import { run } from "./drawing.js";
import { dropAll, gallery, readGallery, unkept } from "./gallery.js";
import { altOf, Picture, PictureActions } from "./picture.js";

/** How many are shown before somebody asks for more. */
const PAGE = 24;

export function Gallery({ onOpen }) {
  const [most, setMost] = useState(PAGE);
  const [asking, setAsking] = useState(false);
  useEffect(() => {
    readGallery();
  }, []);
  if (!gallery.value) return html`<${Loading} label="Reading the gallery" />`;
  // Those of the latest run stand above it.
  const earlier = gallery.value.filter((entry) => entry.run !== run.value?.id);
  if (!gallery.value.length && !run.value) {
    return html`<${Empty} icon="image" title="No pictures yet"><p>Say what you want to see, and press Draw. What is drawn is kept in this browser until you delete it.</p></${Empty}>`;
  }
  const clear = () => {
    dropAll();
    setAsking(false);
  };
  return html`<section class="stack" aria-label="Gallery">
    ${unkept.value && html`<${Note} kind="warn">These pictures last until you leave the page: ${unkept.value}</${Note}>`}
    ${
      earlier.length > 0 &&
      html`<div class="card-head">
          <h2>Earlier pictures</h2>
          <${Button} small kind="quiet" icon="trash" onClick=${() => setAsking(true)}>Delete all</${Button}>
        </div>
        <ul role="list" class="images-gallery">
          ${earlier.slice(0, most).map((entry) => html`<${Card} key=${entry.id} entry=${entry} onOpen=${onOpen} />`)}
        </ul>
        ${earlier.length > most && html`<div class="actions start"><${Button} onClick=${() => setMost(most + PAGE)}>Show more</${Button}></div>`}
        <p class="hint">Kept in this browser only.</p>`
    }
    <${Confirm} open=${asking} title="Delete all pictures?" action=${`Delete ${count(gallery.value.length, "picture")}`} onYes=${clear} onClose=${() => setAsking(false)}>
      <p>They are kept nowhere else. Download first what you want to keep.</p>
    </${Confirm}>
  </section>`;
}

function Card({ entry, onOpen }) {
  return html`<li class="images-card">
    <button type="button" class="images-open" aria-label=${`Show in full: ${altOf(entry)}`} onClick=${() => onOpen(entry.id)}>
      <${Picture} blob=${entry.blob} size=${entry.size} alt="" />
    </button>
    <p class="images-caption">${altOf(entry)}</p>
    <p class="hint">${entry.size.replace("x", " × ")}, seed ${entry.seed ?? "–"}</p>
    <${PictureActions} entry=${entry} />
  </li>`;
}
