/** Images: drawn from a prompt, redrawn where a mask says, or varied; and the gallery of what was drawn. */
import { Button } from "../components/button.js";
import { FileDrop, TextArea } from "../components/field.js";
import { ErrorNote } from "../components/states.js";
import { Tabs } from "../components/tabs.js";
import { Workbench } from "../components/workbench.js";
import { html, useEffect, useState } from "../lib.js";
import { mayInfer } from "../session.js";
import { missing, model, prompt, request, running, start, stop, way } from "./images/drawing.js";
import { gallery } from "./images/gallery.js";
import { Gallery } from "./images/gallery_view.js";
import { SourceEditor } from "./images/mask_editor.js";
import { Panel } from "./images/panel.js";
import { PictureDialog } from "./images/picture.js";
import { WAYS } from "./images/request.js";
import { Result } from "./images/result.js";
import { KINDS, refused, source, startFrom } from "./images/source.js";

const SHOWN = [
  ["draw", "Draw"],
  ["edit", "Edit"],
  ["vary", "Vary"],
];

export function Images() {
  const [opened, setOpened] = useState(null);
  const entry = (opened && gallery.value?.find((one) => one.id === opened)) || null;
  const turn = (to) => {
    way.value = to;
    missing.value = {};
  };
  return html`<${Workbench} settings=${html`<${Panel} />`} request=${request.value}>
    <h2 class="visually-hidden">Images</h2>
    <${Tabs} small label="What to do" tabs=${SHOWN} value=${way.value} onValue=${turn}><${Form} /></${Tabs}>
    <${Result} onOpen=${setOpened} />
    <${Gallery} onOpen=${setOpened} />
    <${PictureDialog} entry=${entry} onClose=${() => setOpened(null)} />
  </${Workbench}>`;
}

function Form() {
  const submit = (event) => {
    event.preventDefault();
    start();
  };
  const pressed = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
  };
  // The browser's own checks would stop it for a number that is not even sent; the server says what is wrong.
  return html`<form id="images-form" class="stack" novalidate onSubmit=${submit} onKeyDown=${pressed}>
    ${way.value !== "draw" && html`<${Start} />`}
    ${
      way.value !== "vary" &&
      html`<${TextArea}
        label="Prompt"
        rows=${3}
        value=${prompt.value}
        onValue=${(text) => {
          prompt.value = text;
        }}
        placeholder=${way.value === "draw" ? "A red heart" : "What the picture, or its marked part, shall show"}
        error=${prompt.value.trim() ? undefined : missing.value.prompt}
      />`
    }
    <div class="actions start">
      ${
        running.value
          ? html`<${Button} key="stop" icon="stop" onClick=${stop}>Stop</${Button}>`
          : html`<${Button} key="start" kind="main" icon="image" type="submit" disabled=${mayInfer.value && !model.value}>${WAYS[way.value].verb}</${Button}>`
      }
      ${!running.value && html`<span class="hint images-keys"><kbd>Ctrl</kbd> <kbd>Enter</kbd></span>`}
    </div>
  </form>`;
}

/** The picture to start from: from the disk, dropped, pasted, or out of the gallery. */
function Start() {
  const take = ([file]) => startFrom(file, file.name);
  useEffect(() => {
    const pasted = (event) => {
      const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
      if (!file) return;
      event.preventDefault();
      take([file]);
    };
    document.addEventListener("paste", pasted);
    return () => document.removeEventListener("paste", pasted);
  }, []);
  return html`<div class="stack">
    <${ErrorNote} error=${refused.value} />
    ${
      source.value
        ? html`<${SourceEditor} masked=${way.value === "edit"} />`
        : html`<${FileDrop} label="Choose a picture" hint="or drop it here, or paste it: PNG, JPEG, WebP or GIF. Pictures of the gallery have a brush below them." accept=${KINDS} onFiles=${take} />`
    }
    ${missing.value.picture && !source.value && html`<p class="field-error" role="alert">${missing.value.picture}</p>`}
  </div>`;
}
