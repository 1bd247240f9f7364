/** The models that the key may use, kept up to date while one of them is on its way. */
import { get } from "./http.js";
import { signal } from "./lib.js";
import { expired, key, mayInfer, me } from "./session.js";

/** Those of /v1/models; null before the first answer. */
export const models = signal(null);
/** The whole answer, with the memory's budget. */
export const listing = signal(null);
/** Why they can't be listed, or null. */
export const failure = signal(null);

const SOON = 1_000;
const LATER = 10_000;
let timer = 0;
let watched = 0;

/** Ask once. */
export async function refresh() {
  const asked = key.value;
  try {
    const found = await get("/v1/models");
    // Another key may use others.
    if (asked !== key.value) return;
    listing.value = found;
    models.value = found.data;
    failure.value = null;
  } catch (error) {
    if (asked === key.value) failure.value = error;
  }
}

async function turn() {
  clearTimeout(timer);
  if (mayInfer.value && !expired.value && !document.hidden) await refresh();
  if (!watched) return;
  const moving = models.value?.some((model) => model.state === "loading" || model.state === "draining");
  timer = setTimeout(turn, moving || failure.value ? SOON : LATER);
}

/** Keep them up to date, until the returned function is called. */
export function watch() {
  watched += 1;
  if (watched === 1) {
    const stop = me.subscribe(() => turn());
    document.addEventListener("visibilitychange", turn);
    watch.stop = () => {
      stop();
      document.removeEventListener("visibilitychange", turn);
      clearTimeout(timer);
    };
  }
  return () => {
    watched -= 1;
    if (watched === 0) watch.stop();
  };
}

/** Those that do a task, such as `chat`; the models' own order, which is the server's. */
export function able(task) {
  return (models.value ?? []).filter((model) => model.capabilities.includes(task));
}

export function named(id) {
  return (models.value ?? []).find((model) => model.id === id) ?? null;
}
