/** What is deleted for good, after a question. */
import { useAct } from "./asked.js";
import { Confirm } from "./components/dialog.js";
import { ErrorNote } from "./components/states.js";
import { toast } from "./components/toasts.js";
import { remove } from "./http.js";
import { html } from "./lib.js";

/** open: whether the question is asked; title: its words. path: of what is deleted; done: what is said then. onGone: is called once
 * it is gone. */
export function Delete({ open, ...asked }) {
  return open ? html`<${Question} ...${asked} />` : null;
}

function Question({ title, path, done, onClose, onGone, children }) {
  const act = useAct(async () => {
    await remove(path);
    toast(done);
    onClose();
    await onGone();
  });
  return html`<${Confirm} open title=${title} action="Delete" busy=${act.busy} onYes=${act.run} onClose=${onClose}>
    ${children}
    <${ErrorNote} error=${act.error} />
  </${Confirm}>`;
}
