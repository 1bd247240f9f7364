/** Pause, resume and cancel batches. */
import { useAct } from "../../asked.js";
import { Button, IconButton } from "../../components/button.js";
import { Confirm } from "../../components/dialog.js";
import { ErrorNote } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { count } from "../../format.js";
import { html, useState } from "../../lib.js";
import { actsOf, countsOf } from "./states.js";
import { change } from "./wire.js";

const ACTS = [
  { act: "pause", icon: "pause", word: "Pause" },
  { act: "resume", icon: "play", word: "Resume", kind: "main" },
  { act: "cancel", icon: "stop", word: "Cancel batch", kind: "danger" },
];

/** What a list or a page of batches can do. onChanged: is called once the server has done it. Returns what BatchActs and
 * ActsDone need. */
export function useActs(onChanged) {
  const [doomed, setDoomed] = useState(null);
  const [busy, setBusy] = useState("");
  const turn = useAct(async (act, batch) => {
    setBusy(batch.id);
    try {
      await change(batch, act);
      toast(act === "pause" ? "The batch is paused." : "The batch goes on.");
      await onChanged();
    } finally {
      setBusy("");
    }
  });
  const press = (act, batch) => (act === "cancel" ? setDoomed(batch) : turn.run(act, batch));
  return { press, busy, error: turn.error, doomed, keep: () => setDoomed(null), onChanged };
}

/** The buttons of a batch. small: icons alone, for the row of a table. */
export function BatchActs({ batch, acts, small = false }) {
  const can = actsOf(batch);
  const busy = acts.busy === batch.id;
  return ACTS.filter(({ act }) => can[act]).map(({ act, icon, word, kind }) =>
    small
      ? html`<${IconButton} key=${act} icon=${icon} label=${`${act === "cancel" ? "Cancel" : word} ${batch.id}`} disabled=${busy} onClick=${() => acts.press(act, batch)} />`
      : html`<${Button} key=${act} icon=${icon} kind=${kind} disabled=${busy} onClick=${() => acts.press(act, batch)}>${word}</${Button}>`,
  );
}

/** Why a press failed, and the question before a batch is cancelled. */
export function ActsDone({ acts }) {
  return html`<${ErrorNote} error=${acts.error} />
    ${acts.doomed && html`<${Cancel} batch=${acts.doomed} onClose=${acts.keep} onChanged=${acts.onChanged} />`}`;
}

function Cancel({ batch, onClose, onChanged }) {
  const { left, done } = countsOf(batch);
  const can = actsOf(batch).pause;
  const act = useAct(async () => {
    await change(batch, "cancel");
    toast("The batch is being cancelled.");
    onClose();
    await onChanged();
  });
  return html`<${Confirm} open title="Cancel this batch?" action="Cancel batch" no="Keep it" busy=${act.busy} onYes=${act.run} onClose=${onClose}>
    <p><code class="batches-id">${batch.id}</code></p>
    <p>${left ? `${count(left, "request")} will get no answer.` : "Its requests will get no answer."}${done > 0 && ` What was answered until now, ${count(done, "request")}, stays in its output.`} This can’t be undone${can && "; a pause can"}.</p>
    <${ErrorNote} error=${act.error} />
  </${Confirm}>`;
}
