/** What is read from the list of models: its changes, memory by device, prices. Pure functions. */

/** What changed from one list of models to the next, a sentence each. */
export function movesOf(before, after) {
  const was = new Map(before.map((model) => [model.id, model.state]));
  return after
    .filter((model) => was.has(model.id) && was.get(model.id) !== model.state)
    .map((model) => `${model.id}: ${wordOf(model.state)}.`);
}

/** The holder that is no model. */
const FRONT_END = "front end";

/** A state in words. */
export function wordOf(state) {
  return state.replaceAll("_", " ");
}

/** The books by device: [{label, budget, parts: [{name, held}]}], the host first. The holders come in a steady order, so that
 * each keeps its colour. */
export function devicesOf({ budget, held }) {
  const holders = Object.entries(held);
  const device = (label, most, of) => ({
    label,
    budget: most,
    parts: holders
      .map(([name, amount]) => ({ name, held: of(amount) }))
      .filter((part) => part.held > 0)
      .sort((one, other) =>
        one.name === FRONT_END ? -1 : other.name === FRONT_END ? 1 : one.name.localeCompare(other.name),
      ),
  });
  return [
    device("Host memory", budget.host, (amount) => amount.host),
    ...Object.entries(budget.gpus).map(([number, most]) =>
      device(`GPU ${number}`, most, (amount) => amount.gpus[number] ?? 0),
    ),
  ];
}

/** Bytes of the host and of each GPU that a model holds, as [label, bytes]. */
export function amountsOf({ host, gpus }) {
  const amounts = [["host", host], ...Object.entries(gpus).map(([number, held]) => [`GPU ${number}`, held])];
  return amounts.filter(([, held]) => held > 0);
}

const UNITS = {
  prompt_token: "prompt token",
  completion_token: "generated token",
  audio_second: "second of audio",
  character: "character",
  image: "image",
  image_step: "step of an image",
};

/** What is not free, a line each: "0.001 a prompt token". */
export function pricesOf(price) {
  return Object.entries(price)
    .filter(([, amount]) => Number(amount) !== 0)
    .map(([unit, amount]) => `${amount} a ${UNITS[unit] ?? unit}`.replace(" a image", " an image"));
}

/** What can be done to a model in a state: `load`, `unload`, `probe`. */
export function actsOf(state) {
  return {
    load: ["unloaded", "asleep", "failed"].includes(state),
    unload: ["ready", "asleep", "failed"].includes(state),
    probe: state === "ready",
  };
}

/** Seconds that the requests at work may be given when a model is unloaded. */
export const MOST_GRACE = 600;

/** Whether it is such a time; null is a field with nothing in it. */
export function isGrace(seconds) {
  return seconds !== null && seconds >= 0 && seconds <= MOST_GRACE;
}
