/** The voices of a model. */
import { get, query } from "../../http.js";
import { effect, signal } from "../../lib.js";
import { me } from "../../session.js";

/** By model: its voices, as of GET /v1/audio/voices. */
const known = signal({});
/** By model: why they can't be listed. */
const failures = signal({});
const asked = new Set();

effect(() => {
  // Another key may see other voices, and what failed without one may go well with it.
  me.value;
  asked.clear();
});

/** {voices, failure}: null each until it is known. Asks for them where nobody has. */
export function voicesOf(model) {
  if (model && !asked.has(model)) {
    asked.add(model);
    ask(model);
  }
  return { voices: known.value[model] ?? null, failure: failures.value[model] ?? null };
}

export async function ask(model) {
  try {
    const { voices } = await get(`/v1/audio/voices${query({ model })}`);
    known.value = { ...known.value, [model]: voices };
    failures.value = { ...failures.value, [model]: null };
  } catch (error) {
    failures.value = { ...failures.value, [model]: error };
  }
}

/** [value, label]: which installed voice a name stands for is said where that is another one. */
export function optionsOf(voices) {
  return voices.map(({ id, voice }) => [id, voice && voice !== id ? `${id} (spoken by ${voice})` : id]);
}

/** What stands: the chosen one where the model has it, else its first. */
export function standingVoice(voices, chosen) {
  if (!voices) return chosen;
  return voices.some(({ id }) => id === chosen) ? chosen : (voices[0]?.id ?? "");
}
