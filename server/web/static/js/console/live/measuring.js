/** Scrapes /metrics every two seconds while somebody looks, and keeps what the last ten minutes showed. */
import { send } from "../../http.js";
import { signal } from "../../lib.js";
import { expired } from "../../session.js";
import { parse } from "./exposition.js";
import { frameOf, modelsOf, routesOf } from "./frames.js";
import { scrapeOf } from "./measures.js";

const EVERY = 2_000;
const KEPT = 600;
/** Seconds over which times and the tables are taken: in two seconds there may be no request at all. */
export const WINDOW = 30;

/** Two frames of each moment: of work alone, and with the looks of pages and probes: {at, work, all}. */
export const frames = signal([]);
/** The tables over the window: {routes, all, models}, or null before the second scrape. */
export const tables = signal(null);
export const failure = signal(null);
export const paused = signal(false);

let scrapes = [];

async function scrape() {
  const response = await send("GET", "/metrics");
  take(scrapeOf(parse(await response.text()), Date.now() / 1000));
}

function take(now) {
  const before = scrapes.at(-1);
  scrapes = [...scrapes.filter(({ at }) => now.at - at <= WINDOW), now];
  if (!before) return;
  // What happened while nobody looked is shown as the mean of that time.
  const oldest = scrapes.length > 1 ? scrapes[0] : before;
  const frame = { at: now.at, work: frameOf(before, oldest, now), all: frameOf(before, oldest, now, true) };
  frames.value = [...frames.value.filter(({ at }) => now.at - at <= KEPT), frame];
  tables.value = {
    work: routesOf(oldest, now),
    all: routesOf(oldest, now, true),
    models: modelsOf(oldest, now),
  };
}

/** Measure until the returned function is called. */
export function measure() {
  let timer = 0;
  let over = false;
  const turn = async () => {
    clearTimeout(timer);
    if (!document.hidden && !paused.value && !expired.value) {
      try {
        await scrape();
        failure.value = null;
      } catch (error) {
        failure.value = error;
      }
    }
    clearTimeout(timer);
    if (!over) timer = setTimeout(turn, EVERY);
  };
  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    over = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", turn);
  };
}
