/** A file that is added: dropped, sent, watched while it is on its way. */
import { FileDrop, SelectField } from "../../components/field.js";
import { ErrorNote } from "../../components/states.js";
import { toast } from "../../components/toasts.js";
import { html, useEffect, useRef, useState } from "../../lib.js";
import { fieldsOf, keptOf } from "./purposes.js";
import { sendFile } from "./sending.js";
import { UploadBar } from "./upload_bar.js";

const FOR = [
  ["user_data", "Requests: text, PDF, recordings"],
  ["vision", "Pictures in requests"],
  ["batch", "A batch: JSONL"],
];

/** open: whether it begins unfolded. onDone: is called once a file is stored. */
export function NewFile({ open, onDone }) {
  const [unfolded] = useState(open);
  const [purpose, setPurpose] = useState("user_data");
  const [kept, setKept] = useState("");
  const [going, setGoing] = useState(null);
  const [sent, setSent] = useState(null);
  const [error, setError] = useState(null);
  const running = useRef(null);
  useEffect(() => () => running.current?.abort(), []);
  const choose = (value) => {
    setPurpose(value);
    setKept(keptOf(value)[0][0]);
  };
  const add = async (files) => {
    const own = new AbortController();
    running.current = own;
    setError(null);
    try {
      for (const file of files) {
        setSent(null);
        setGoing(file.name);
        const onUpload = (done, total) => setSent([done, total]);
        await sendFile(file, fieldsOf(purpose, kept), { onUpload, signal: own.signal });
        toast(`${file.name} is stored.`);
        onDone();
      }
    } catch (failed) {
      if (failed.name !== "AbortError") setError(failed);
    }
    setGoing(null);
  };
  return html`<details class="fold card" open=${unfolded}>
    <summary>Add files</summary>
    <div class="stack">
      <div class="row">
        <${SelectField} label="They are for" value=${purpose} onValue=${choose} options=${FOR} />
        <${SelectField} label="Kept" value=${kept} onValue=${setKept} options=${keptOf(purpose)} />
      </div>
      ${
        going
          ? html`<${UploadBar} name=${going} sent=${sent} onStop=${() => running.current.abort()} />`
          : html`<${FileDrop} label="Drop files here, or choose them" multiple onFiles=${add} />`
      }
      <${ErrorNote} error=${error} />
    </div>
  </details>`;
}
