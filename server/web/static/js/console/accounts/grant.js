/** Credits given to an account, or taken back. */
import { ask, HOW, isZero, shown, typed } from "../../amounts.js";
import { refusedField, useAct } from "../../asked.js";
import { Button } from "../../components/button.js";
import { Dialog } from "../../components/dialog.js";
import { SelectField, TextField } from "../../components/field.js";
import { ErrorNote, Note } from "../../components/states.js";
import { html, useState } from "../../lib.js";

/** Letters and digits that nobody else has, on a page that came by plain HTTP as well. */
function ownReference() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** onDone gets the server's answer: the balance, and whether the reference was counted before. */
export function Grant({ account, onDone, onClose }) {
  const [way, setWay] = useState("");
  const [amount, setAmount] = useState("");
  const [note, setNote] = useState("");
  const [reference, setReference] = useState("");
  const [spare] = useState(ownReference);
  const [wrong, setWrong] = useState(null);
  const [counted, setCounted] = useState(null);
  const act = useAct(async (credits) => {
    const json = { credits: `${way}${credits}`, note, reference: reference.trim() || spare };
    const answer = await ask("POST", `/admin/v1/accounts/${account.id}/credits`, { json });
    if (answer.already_granted) setCounted(answer);
    else onDone(answer);
  });
  const submit = (event) => {
    event.preventDefault();
    const credits = typed(amount);
    const fault = credits === null ? HOW : isZero(credits) ? "Write an amount of more than 0." : null;
    setWrong(fault);
    setCounted(null);
    if (!fault) act.run(credits);
  };
  return html`<${Dialog} open title="Give or take credits" onClose=${onClose}>
    <form class="stack" onSubmit=${submit}>
      <p>The balance is <strong>${shown(account.balance)}</strong>${!isZero(account.held) && html`, of which ${shown(account.held)} are held for requests that run now`}.</p>
      <div class="row accounts-grant">
        <${SelectField} label="Do" value=${way} onValue=${setWay} options=${[["", "Give"], ["-", "Take back"]]} />
        <${TextField} label="Credits" autofocus required inputmode="decimal" autocomplete="off" value=${amount} onValue=${setAmount} error=${wrong} ...${refusedField(act.error, "credits")} />
      </div>
      <${TextField} label="Note" hint="Stands in the ledger." maxlength=${256} autocomplete="off" value=${note} onValue=${setNote} ...${refusedField(act.error, "note")} />
      <${TextField} label="Reference" hint="Such as the number of an invoice: it counts once, however often it is sent. Left empty, the page makes one, so that trying again is safe." maxlength=${64} pattern="[!-~]+" title="Letters, digits and signs without spaces" autocomplete="off" spellcheck=${false} value=${reference} onValue=${setReference} ...${refusedField(act.error, "reference")} />
      ${counted && html`<div role="alert"><${Note} kind="warn">This reference was counted before: nothing has changed. The balance is ${shown(counted.balance)}.</${Note}></div>`}
      <${ErrorNote} error=${act.error} />
      <div class="actions">
        <${Button} onClick=${onClose}>${counted ? "Close" : "Cancel"}</${Button}>
        <${Button} kind="main" type="submit" busy=${act.busy}>${way ? "Take back" : "Give credits"}</${Button}>
      </div>
    </form>
  </${Dialog}>`;
}
