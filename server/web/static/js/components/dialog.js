/** Dialogs, by the browser's own element: it keeps the focus inside, ends by Escape, and gives the focus back. */
import { html, useEffect, useId, useRef } from "../lib.js";
import { Button, IconButton } from "./button.js";

const FIRST = ".dialog-body :is(input, select, textarea, button, a[href]):not(:disabled)";

/** open: whether it is shown; onClose: it was left, by Escape or the cross. It is not in the page while it is closed. */
export function Dialog({ open, title, onClose, wide = false, children }) {
  return open ? html`<${Shown} title=${title} onClose=${onClose} wide=${wide}>${children}</${Shown}>` : null;
}

function Shown({ title, onClose, wide, children }) {
  const place = useRef(null);
  const id = useId();
  const latest = useRef(onClose);
  latest.current = onClose;
  useEffect(() => {
    const before = document.activeElement;
    const dialog = place.current;
    // A browser may close it without asking, as by a second Escape. Not heard of once it is taken out of the page.
    const closed = () => latest.current();
    dialog.addEventListener("close", closed);
    dialog.showModal();
    // The cross comes first, and is what the browser would choose.
    if (!dialog.querySelector("[autofocus]")) dialog.querySelector(FIRST)?.focus();
    return () => {
      dialog.removeEventListener("close", closed);
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const left = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${place} class=${`dialog${wide ? " wide" : ""}`} aria-labelledby=${id} onCancel=${left}>
    <header><h2 id=${id}>${title}</h2><${IconButton} label="Close" icon="close" onClick=${onClose} /></header>
    <div class="dialog-body">${children}</div>
  </dialog>`;
}

/** A question with yes and no, for what can't be undone. action: the verb on its button; no: what the other one says. */
export function Confirm({ open, title, action, no = "Cancel", busy, onYes, onClose, children }) {
  return html`<${Dialog} open=${open} title=${title} onClose=${onClose}>
    ${children}
    <div class="actions">
      <${Button} onClick=${onClose}>${no}</${Button}>
      <${Button} kind="danger" busy=${busy} onClick=${onYes}>${action}</${Button}>
    </div>
  </${Dialog}>`;
}
