/** Batches: all that there are, or the one that the URL names; kept up to date while they go on. */
import { Answer, useAgain, useAsked } from "../asked.js";
import { Dialog } from "../components/dialog.js";
import { toast } from "../components/toasts.js";
import { html, useRef, useState } from "../lib.js";
import { key } from "../session.js";
import { BatchList } from "./batches/list.js";
import { NewBatch } from "./batches/new.js";
import { observed } from "./batches/pace.js";
import { BatchPage } from "./batches/page.js";
import { isOver } from "./batches/states.js";
import { batchesOf } from "./batches/wire.js";
import { within } from "./within.js";

const SOON = 2_000;
const LATER = 10_000;

export function Batches() {
  const id = within.value;
  const [pages, setPages] = useState(1);
  const [making, setMaking] = useState(false);
  const seen = useRef(new Map());
  const asked = useAsked(
    async (signal) => {
      const found = await batchesOf(pages, id, signal);
      seen.current = observed(seen.current, found.rows, found.at);
      return { ...found, seen: seen.current };
    },
    [pages, id, key.value],
  );
  useAgain(asked, () => true, asked.data?.rows.every(isOver) ? LATER : SOON);
  const made = (batch) => {
    setMaking(false);
    toast("The batch is made.");
    location.hash = `batches/${batch.id}`;
    asked.again();
  };
  return html`<${Answer} asked=${asked} label="Loading the batches" lines=${6}>
      ${(found) =>
        id
          ? html`<${BatchPage} key=${id} id=${id} found=${found} busy=${asked.busy} onChanged=${asked.again} />`
          : html`<${BatchList}
              found=${found}
              onChanged=${asked.again}
              onCreate=${() => setMaking(true)}
              onOlder=${() => setPages(pages + 1)}
            />`}
    </${Answer}>
    <${Dialog} open=${making} wide title="New batch" onClose=${() => setMaking(false)}>
      <${NewBatch} onDone=${made} onClose=${() => setMaking(false)} />
    </${Dialog}>`;
}
