/** The chats that this browser keeps: opened, named, searched, thrown away, exported and imported. */
import { Button, IconButton } from "../../components/button.js";
import { Confirm } from "../../components/dialog.js";
import { ErrorNote, Loading, Note } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { count, moment } from "../../format.js";
import { html, useEffect, useId, useRef, useState } from "../../lib.js";
import { stopAll } from "./answering.js";
import { search } from "./shelf.js";
import { addAll, all, chat, discard, newId, open, rename, startNew, titles, unkept } from "./state.js";
import { exported, imported } from "./transfer.js";

/** onOpened: a chat was chosen. */
export function ChatList({ onOpened }) {
  const [words, setWords] = useState("");
  const [found, setFound] = useState(null);
  const [gone, setGone] = useState(null);
  const id = useId();
  useEffect(() => {
    if (!words.trim()) {
      setFound(null);
      return undefined;
    }
    const timer = setTimeout(async () => setFound(await search(words).catch(() => null)), 150);
    return () => clearTimeout(timer);
  }, [words, titles.value]);
  const shown = (titles.value ?? []).filter((one) => !found || found.has(one.id));
  const begin = () => {
    startNew();
    onOpened();
  };
  const pick = async (one) => {
    await open(one);
    onOpened();
  };
  const throwAway = async () => {
    stopAll(gone.id);
    await discard(gone.id);
    setGone(null);
  };
  return html`<section class="chat-list" aria-label="Chats">
    <${Button} icon="plus" onClick=${begin}>New chat</${Button}>
    ${unkept.value && html`<${Note} kind="warn">This browser does not keep chats: ${unkept.value.message} Export what you need.</${Note}>`}
    ${
      titles.value?.length
        ? html`<div class="field">
          <label class="visually-hidden" for=${id}>Search the chats</label>
          <input class="input" type="search" id=${id} placeholder="Search" value=${words} onInput=${(event) => setWords(event.currentTarget.value)} />
        </div>`
        : null
    }
    ${titles.value === null && html`<${Loading} label="Reading the chats" />`}
    ${titles.value?.length === 0 && html`<p class="hint">Chats that you begin are kept in this browser, and listed here.</p>`}
    ${titles.value?.length && !shown.length ? html`<p class="hint" role="status">No chat has these words.</p>` : null}
    <ul role="list">
      ${shown.map((one) => html`<${Title} key=${one.id} one=${one} onPick=${() => pick(one.id)} onDiscard=${() => setGone(one)} />`)}
    </ul>
    <${Transfer} />
    <${Confirm} open=${gone !== null} title="Delete this chat?" action="Delete" onYes=${throwAway} onClose=${() => setGone(null)}>
      <p>“${gone?.title || "Untitled"}” is kept in this browser only. It can't be brought back.</p>
    </${Confirm}>
  </section>`;
}

function Title({ one, onPick, onDiscard }) {
  const [naming, setNaming] = useState(false);
  const isOpen = one.id === chat.value.id;
  if (naming) return html`<li><${Naming} one=${one} onDone=${() => setNaming(false)} /></li>`;
  const shown = one.title || "Untitled";
  return html`<li class=${isOpen ? "open" : undefined}>
    <button type="button" class="chat-title" aria-current=${isOpen ? "true" : undefined} title=${`${shown}, ${moment(one.changed / 1000)}`} onClick=${onPick}>${shown}</button>
    <span class="chat-title-actions">
      <${IconButton} icon="edit" size=${15} label=${`Rename ${shown}`} onClick=${() => setNaming(true)} />
      <${IconButton} icon="trash" size=${15} label=${`Delete ${shown}`} onClick=${onDiscard} />
    </span>
  </li>`;
}

function Naming({ one, onDone }) {
  const [title, setTitle] = useState(one.title);
  const place = useRef(null);
  useEffect(() => place.current.select(), []);
  const save = (event) => {
    event.preventDefault();
    if (title.trim()) rename(one.id, title.trim().slice(0, 200));
    onDone();
  };
  const press = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    onDone();
  };
  return html`<form class="chat-naming" onSubmit=${save}>
    <input class="input" aria-label="Name of the chat" ref=${place} value=${title} onInput=${(event) => setTitle(event.currentTarget.value)} onKeyDown=${press} />
    <${IconButton} icon="check" label="Save the name" type="submit" />
  </form>`;
}

/** All chats as a file, and back. */
function Transfer() {
  const [error, setError] = useState(null);
  const id = useId();
  const save = async () => {
    const file = new Blob([exported(await all())], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = `chats-${new Date().toISOString().slice(0, 10)}.json`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  const load = async (event) => {
    const input = event.currentTarget;
    const [file] = input.files;
    if (!file) return;
    try {
      const chats = imported(await file.text(), newId);
      await addAll(chats);
      setError(null);
      toast(`${count(chats.length, "chat")} imported`);
    } catch (failed) {
      setError(failed);
    } finally {
      input.value = "";
    }
  };
  return html`<div class="chat-transfer">
    <${Button} kind="quiet" small icon="download" disabled=${!titles.value?.length} onClick=${save}>Export</${Button}>
    <label class="button quiet small" for=${id}>Import<input class="visually-hidden" type="file" id=${id} accept="application/json,.json" onChange=${load} /></label>
    <${ErrorNote} error=${error} />
  </div>`;
}
