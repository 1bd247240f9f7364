/** A picture, what is known of it, and what can be done with it. */
import { Button, IconButton } from "../../components/button.js";
import { Confirm, Dialog } from "../../components/dialog.js";
import { Stat } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { count, credits, moment, seconds } from "../../format.js";
import { html, useEffect, useState } from "../../lib.js";
import { reuse, way } from "./drawing.js";
import { drop } from "./gallery.js";
import { fileName } from "./request.js";
import { startFrom } from "./source.js";

/** A blob as the URL of an <img>, for as long as it is shown. */
export function useUrl(blob) {
  const [url, setUrl] = useState("");
  useEffect(() => {
    if (!blob) return undefined;
    const made = URL.createObjectURL(blob);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [blob]);
  return url;
}

/** Whether it shows its pixels where it is drawn larger than it is: a blur would look like a bad picture. */
export function isSmall({ width, height }) {
  return Math.max(width, height) <= 128;
}

/** size: as the API says it, 512x768, so that its place is there before it is. */
export function Picture({ blob, size, alt }) {
  const url = useUrl(blob);
  const [width, height] = size.split("x").map(Number);
  if (!url) return html`<span class="images-picture" style=${{ aspectRatio: `${width} / ${height}` }}></span>`;
  return html`<img class=${`images-picture${isSmall({ width, height }) ? " small" : ""}`} src=${url} alt=${alt} width=${width} height=${height} />`;
}

export function altOf({ prompt, way }) {
  return prompt || (way === "vary" ? "A variation" : "A picture");
}

export function download(entry) {
  save(entry.blob, fileName(entry));
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Not at once: the browser begins to read it after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Make it the start of an edit. */
export async function edit(entry) {
  await startFrom(entry.blob, fileName(entry));
  way.value = "edit";
  const form = document.getElementById("images-form");
  form?.scrollIntoView({ block: "start" });
  form?.querySelector("textarea")?.focus({ preventScroll: true });
}

function again(entry) {
  reuse(entry);
  toast("Its settings and its seed are in the form.");
  document.getElementById("images-form")?.scrollIntoView({ block: "start" });
}

/** The actions below a picture, as icons; entry: of the gallery. */
export function PictureActions({ entry }) {
  const named = altOf(entry);
  return html`<div class="images-actions">
    <${IconButton} icon="download" label=${`Download: ${named}`} onClick=${() => download(entry)} />
    <${IconButton} icon="brush" label=${`Edit: ${named}`} onClick=${() => edit(entry)} />
    <${IconButton} icon="again" label=${`Use its settings: ${named}`} onClick=${() => again(entry)} />
    <${Delete} entry=${entry}>
      ${(ask) => html`<${IconButton} icon="trash" label=${`Delete: ${named}`} onClick=${ask} />`}
    </${Delete}>
  </div>`;
}

/** Asks before a picture is gone for good. children: the button, of a function that asks. */
function Delete({ entry, children }) {
  const [asking, setAsking] = useState(false);
  return html`${children(() => setAsking(true))}
    <${Confirm} open=${asking} title="Delete the picture?" action="Delete the picture" onYes=${() => drop(entry.id)} onClose=${() => setAsking(false)}>
      <p>It is kept nowhere else. Download it first if you want to keep it.</p>
    </${Confirm}>`;
}

/** A picture in full, with all that is known of it. entry: null for none. */
export function PictureDialog({ entry, onClose }) {
  const left = (act) => () => {
    onClose();
    act(entry);
  };
  return html`<${Dialog} wide open=${Boolean(entry)} title=${entry?.way === "draw" ? "Picture" : entry?.way === "edit" ? "Edited picture" : "Variation"} onClose=${onClose}>
    ${
      entry &&
      html`<div class="images-full"><${Picture} blob=${entry.blob} size=${entry.size} alt=${altOf(entry)} /></div>
        ${entry.prompt && html`<p class="images-prompt">${entry.prompt}</p>`}
        <dl class="stats">
          <${Stat} label="Seed" value=${entry.seed ?? "–"} />
          <${Stat} label="Size" value=${entry.size.replace("x", " × ")} />
          <${Stat} label="Time" value=${entry.seconds === null ? "–" : seconds(entry.seconds)} hint=${together(entry)} />
          <${Stat} label="Credits" value=${entry.credits === null ? "–" : credits(entry.credits)} hint=${entry.credits === null ? "not metered" : together(entry)} />
          <${Stat} label="Quality" value=${entry.quality?.mode ?? "–"} hint=${entry.quality && passesOf(entry.quality)} />
        </dl>
        <p class="hint">${entry.model}, ${moment(entry.at / 1000)}</p>
        <div class="actions">
          <${Delete} entry=${entry}>
            ${(ask) => html`<${Button} kind="danger" icon="trash" onClick=${ask}>Delete</${Button}>`}
          </${Delete}>
          <${Button} icon="again" onClick=${left(again)}>Use its settings</${Button}>
          <${Button} icon="brush" onClick=${left(edit)}>Edit</${Button}>
          <${Button} kind="main" icon="download" onClick=${() => download(entry)}>Download</${Button}>
        </div>`
    }
  </${Dialog}>`;
}

function together({ together }) {
  return together > 1 ? `for ${together} pictures` : undefined;
}

/** 2 passes, 6 candidates */
export function passesOf({ passes, candidates }) {
  return [count(passes, "pass", "passes"), candidates > 1 && count(candidates, "candidate")].filter(Boolean).join(", ");
}
