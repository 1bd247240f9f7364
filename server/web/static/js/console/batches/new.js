/** A new batch, of a file that is dropped: it is sent, then the batch is made of it. */
import { refusedField } from "../../asked.js";
import { Button } from "../../components/button.js";
import { FileDrop, SelectField } from "../../components/field.js";
import { ErrorNote, Note } from "../../components/states.js";
import { bytes } from "../../format.js";
import { post } from "../../http.js";
import { html, useEffect, useRef, useState } from "../../lib.js";
import { sendFile } from "../files/sending.js";
import { UploadBar } from "../files/upload_bar.js";
import { beginningOf, ENDPOINTS, LOOKED_AT, WINDOWS } from "./sample.js";
import { Sample } from "./sample_view.js";

const CHOICES = ENDPOINTS.map(({ path, name }) => [path, `${name} (${path})`]);

/** onDone gets the batch as the API has it. */
export function NewBatch({ onDone, onClose }) {
  const [chosen, setChosen] = useState(null);
  const [endpoint, setEndpoint] = useState(ENDPOINTS[0].path);
  const [window, setWindow] = useState("24h");
  const [stage, setStage] = useState("");
  const [sent, setSent] = useState(null);
  const [error, setError] = useState(null);
  const running = useRef(null);
  // A file that has arrived is not sent again when the batch could not be made of it.
  const arrived = useRef(null);
  useEffect(() => () => running.current?.abort(), []);
  const choose = async ([file]) => {
    arrived.current = null;
    setError(null);
    try {
      const found = beginningOf(await file.slice(0, LOOKED_AT).text(), file.size <= LOOKED_AT);
      setChosen({ file, ...found });
      if (found.endpoint) setEndpoint(found.endpoint);
    } catch {
      setChosen(null);
      setError({ message: "The file can't be read. It may have been moved or deleted." });
    }
  };
  const make = async (event) => {
    event.preventDefault();
    const own = new AbortController();
    running.current = own;
    const { file } = chosen;
    setError(null);
    try {
      if (!arrived.current) {
        setStage("sending");
        const onUpload = (done, total) => setSent([done, total]);
        arrived.current = (await sendFile(file, { purpose: "batch" }, { onUpload, signal: own.signal })).id;
      }
      setStage("making");
      const body = { input_file_id: arrived.current, endpoint, completion_window: window };
      onDone(await post("/v1/batches", body, { signal: own.signal }));
    } catch (failed) {
      if (failed.name !== "AbortError") setError(failed);
      setStage("");
    }
    setSent(null);
  };
  const { file, problem, model } = chosen ?? {};
  const other = chosen?.endpoint && chosen.endpoint !== endpoint;
  return html`<form class="stack" onSubmit=${make}>
    ${
      stage === "sending"
        ? html`<${UploadBar} name=${file.name} sent=${sent} onStop=${() => running.current.abort()} />`
        : html`<${FileDrop}
            label=${file ? file.name : "Drop a JSONL file here, or choose one"}
            hint=${file ? `${bytes(file.size)}${model ? `, for ${model}` : ""}. Drop another to take it instead.` : "One request a line, each with a custom_id of its own"}
            accept=".jsonl,.ndjson,.json,.txt,application/jsonl"
            onFiles=${choose}
          />`
    }
    ${problem && html`<div role="alert"><${Note} kind="warn"><strong>The server would refuse this file.</strong><span>${problem}</span></${Note}></div>`}
    <div class="row">
      <${SelectField} label="Its requests go to" value=${endpoint} onValue=${setEndpoint} options=${CHOICES} ...${refusedField(error, "endpoint")} />
      <${SelectField} label="Time that it has" value=${window} onValue=${setWindow} options=${WINDOWS} ...${refusedField(error, "completion_window")} />
    </div>
    ${other && html`<${Note} kind="warn">The lines of this file go to ${chosen.endpoint}. Choose that, or another file.</${Note}>`}
    <${ErrorNote} error=${error}>${arrived.current && html`<p>The file has arrived. Try again, and it is not sent a second time.</p>`}</${ErrorNote}>
    <div class="actions">
      <${Button} onClick=${onClose}>Cancel</${Button}>
      <${Button} kind="main" type="submit" disabled=${!file || Boolean(problem) || other} busy=${stage !== ""}>Make batch</${Button}>
    </div>
    <details class="fold" open=${!file}>
      <summary>What such a file looks like</summary>
      <${Sample} endpoint=${endpoint} />
    </details>
  </form>`;
}
