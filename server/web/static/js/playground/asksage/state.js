/** What the tab has in hand, beyond its being open: the conversation, the settings, the datasets. */
import { get } from "../../http.js";
import { kept } from "../../kept.js";
import { computed, signal } from "../../lib.js";
import { STANDARD } from "./question.js";
import { said } from "./wire.js";

export const settings = kept("asksage", STANDARD);

export function change(fields) {
  settings.value = { ...settings.value, ...fields };
}

/** What is being written. */
export const draft = signal("");
/** See conversation.js. */
export const turns = signal([]);

/** Those that the key may read, its account's own first; null before that is known. */
export const datasets = signal(null);
/** Why they can't be listed, or null. */
export const datasetsFailure = signal(null);
export const names = computed(() => (datasets.value ?? []).map((dataset) => dataset.full_name));

export async function refreshDatasets() {
  try {
    datasets.value = (await get("/v1/datasets")).data;
    datasetsFailure.value = null;
  } catch (error) {
    datasetsFailure.value = error;
  }
}

/** [{id, name, description}]; null before that is known. */
export const personas = signal(null);
export const personasFailure = signal(null);

export async function refreshPersonas() {
  try {
    personas.value = await said("/server/get-personas");
    personasFailure.value = null;
  } catch (error) {
    personasFailure.value = error;
  }
}
