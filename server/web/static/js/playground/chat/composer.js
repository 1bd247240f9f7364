/** The field that messages are written in: text, pictures by the picker, by drag and drop or by paste; send and stop. */
import { Button, IconButton } from "../../components/button.js";
import { Icon } from "../../components/icon.js";
import { Note } from "../../components/states.js";
import { html, signal, useEffect, useId, useRef, useState } from "../../lib.js";
import { named } from "../../models.js";
import { asking, expired, mayInfer } from "../../session.js";
import { isWriting, say, settled, stopAll } from "./answering.js";
import { openCalls, problemsOfAll } from "./request.js";
import { chat, draft } from "./state.js";
import { path } from "./tree.js";

/** Data URIs of the pictures that go along with the next message. */
export const pictures = signal([]);

const TYPES = ["image/png", "image/jpeg", "image/webp", "image/gif"];

/** Whether a model takes pictures; one that says nothing of it might. */
export const sees = (id) => named(id)?.input_modalities?.includes("image") ?? false;

function dataUri(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

export function Composer() {
  const [refusal, setRefusal] = useState("");
  const picker = useId();
  const place = useRef(null);
  const { settings, tree, id } = chat.value;
  const { model, otherModel } = settled(settings);
  const busy = isWriting(id);
  const problems = problemsOfAll(settings);
  const awaited = (settings.compare ? [0, 1] : [0]).some(
    (column) => openCalls(path(tree, column).map((one) => tree.messages[one])).length > 0,
  );
  const blind = [model, ...(settings.compare ? [otherModel] : [])].filter((one) => !sees(one));
  const mayAttach = !blind.length;
  const text = draft.value;
  const nothing = !text.trim() && !pictures.value.length;

  useEffect(() => {
    const stop = (event) => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) stopAll();
    };
    addEventListener("keydown", stop);
    return () => removeEventListener("keydown", stop);
  }, []);

  const attach = async (files) => {
    const found = files.filter((file) => TYPES.includes(file.type));
    setRefusal(found.length < files.length ? "Pictures are PNG, JPEG, WebP or GIF files." : "");
    try {
      const uris = await Promise.all(found.map(dataUri));
      pictures.value = [...pictures.value, ...uris];
    } catch {
      setRefusal("A picture can't be read. It may have been moved or deleted.");
    }
  };
  const send = () => {
    if (!mayInfer.value || expired.value) {
      asking.value = true;
      return;
    }
    if (nothing || busy || problems.length || awaited || !model) return;
    const content = text.trim();
    const images = pictures.value;
    draft.value = "";
    pictures.value = [];
    say(content, images);
    place.current?.focus();
  };
  const press = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    // A keyboard on glass has no Shift to speak of: there the button sends.
    if (matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    send();
  };
  const paste = (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    attach(files);
  };
  const over = (event, on) => {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    event.currentTarget.classList.toggle("over", on);
  };
  const dropped = (event) => {
    over(event, false);
    const files = [...event.dataTransfer.files];
    if (files.length) attach(files);
  };

  return html`<form
    class="chat-composer"
    onSubmit=${(event) => {
      event.preventDefault();
      send();
    }}
    onDragOver=${(event) => over(event, true)}
    onDragLeave=${(event) => over(event, false)}
    onDrop=${dropped}
  >
    ${problems.length ? html`<${Note} kind="warn">${problems.map((one) => html`<p key=${one}>${one}</p>`)}</${Note}>` : null}
    ${awaited && html`<p class="hint">Type in the result of the call above; the model goes on from there.</p>`}
    ${refusal && html`<p class="field-error" role="alert">${refusal}</p>`}
    ${pictures.value.length > 0 && blind.length > 0 && html`<${Note} kind="warn">${blind[0]} takes no pictures. Choose another model, or take the picture away.</${Note}>`}
    ${
      pictures.value.length
        ? html`<ul role="list" class="chat-attached">
          ${pictures.value.map(
            (url, at) => html`<li key=${at}>
              <img src=${url} alt=${`Picture ${at + 1}`} />
              <${IconButton} icon="close" size=${14} kind="plain" label=${`Take picture ${at + 1} away`} onClick=${() => {
                pictures.value = pictures.value.filter((_, place) => place !== at);
              }} />
            </li>`,
          )}
        </ul>`
        : null
    }
    <div class="chat-field">
      <textarea
        class="input grows"
        rows="1"
        ref=${place}
        aria-label="Message"
        placeholder="Ask something"
        value=${text}
        onInput=${(event) => {
          draft.value = event.currentTarget.value;
        }}
        onKeyDown=${press}
        onPaste=${paste}
      ></textarea>
      ${
        mayAttach &&
        html`<label class="button quiet square chat-attach" for=${picker} title="Add pictures">
        <${Icon} name="image" /><span class="visually-hidden">Add pictures</span>
        <input class="visually-hidden" type="file" id=${picker} accept=${TYPES.join(",")} multiple onChange=${(
          event,
        ) => {
          attach([...event.currentTarget.files]);
          event.currentTarget.value = "";
        }} />
      </label>`
      }
      ${
        busy
          ? html`<${Button} icon="stop" onClick=${() => stopAll()}>Stop</${Button}>`
          : html`<${Button} kind="main" icon="send" type="submit" disabled=${mayInfer.value && (nothing || problems.length > 0 || awaited || !model)}>Send</${Button}>`
      }
    </div>
  </form>`;
}
