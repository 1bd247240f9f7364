/** The question before a model is put away, with the time that its requests get. */
import { Confirm } from "../../components/dialog.js";
import { NumberField } from "../../components/field.js";
import { ErrorNote } from "../../components/states.js";
import { count } from "../../format.js";
import { post } from "../../http.js";
import { html, useState } from "../../lib.js";
import { refresh } from "./listing.js";
import { isGrace, MOST_GRACE } from "./moves.js";

const GRACE = 30;

export function Unload({ model, address, onClose }) {
  const [grace, setGrace] = useState(GRACE);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  // A request may have come since the dialog was opened; the server's refusal says so.
  const inUse = model.running + model.waiting > 0 || error?.code === "conflict";
  const wrong = inUse && !isGrace(grace) ? `From 0 to ${MOST_GRACE} seconds.` : null;
  const unload = async () => {
    if (wrong) return;
    setBusy(true);
    setError(null);
    try {
      await post(`${address}/unload`, inUse ? { grace } : {});
      onClose();
    } catch (failed) {
      setError(failed);
    } finally {
      setBusy(false);
      refresh();
    }
  };
  return html`<${Confirm} open title=${`Unload ${model.id}?`} action="Unload" busy=${busy} onYes=${unload} onClose=${onClose}>
    <p>${
      model.state === "failed" ? "It is not tried again by itself." : "Its memory is given back."
    } The next request for it loads it, and waits for that.</p>
    ${
      inUse &&
      html`<p>It has ${count(model.running, "request")} at work and ${model.waiting} waiting. Those that wait are answered
        when it has been loaded anew.</p>
      <${NumberField}
        label="Seconds for the requests at work"
        hint="Those that take longer are broken off."
        error=${wrong}
        min=${0}
        max=${MOST_GRACE}
        step=${1}
        value=${grace}
        onValue=${setGrace}
      />`
    }
    <${ErrorNote} error=${error} />
  </${Confirm}>`;
}
