/** Files on their way to the server, one after the other. From then on they are documents, which the server knows. */
import { send } from "../../http.js";
import { signal } from "../../lib.js";

/** [{id, datasetId, file, state, error}]. state: `waiting`, `sending` or `failed`. What has arrived is not here any more. */
export const uploads = signal([]);
/** Grows with each file that has arrived. */
export const arrived = signal(0);

let next = 1;
let running = null;

function update(id, fields) {
  uploads.value = uploads.value.map((one) => (one.id === id ? { ...one, ...fields } : one));
}

function forget(id) {
  uploads.value = uploads.value.filter((one) => one.id !== id);
}

export function upload(datasetId, files) {
  const added = files.map((file) => ({ id: next++, datasetId, file, state: "waiting", error: null }));
  uploads.value = [...uploads.value, ...added];
  run();
}

/** Send one that failed once more. */
export function resend(id) {
  update(id, { state: "waiting", error: null });
  run();
}

/** Send it not, or no further. */
export function withdraw(id) {
  if (running?.id === id) running.abort.abort();
  forget(id);
}

async function run() {
  if (running) return;
  for (;;) {
    const one = uploads.value.find(({ state }) => state === "waiting");
    if (!one) return;
    const abort = new AbortController();
    running = { id: one.id, abort };
    update(one.id, { state: "sending" });
    try {
      const form = new FormData();
      form.append("file", one.file, one.file.name);
      await send("POST", `/v1/datasets/${one.datasetId}/documents`, { form, signal: abort.signal });
      forget(one.id);
      arrived.value += 1;
    } catch (error) {
      if (error.name !== "AbortError") update(one.id, { state: "failed", error });
    } finally {
      running = null;
    }
  }
}
