/** The models as operators see them, kept up to date: each second while one of them changes, and each third otherwise. */
import { get } from "../../http.js";
import { signal } from "../../lib.js";
import { refresh as refreshPublic } from "../../models.js";
import { expired } from "../../session.js";
import { movesOf } from "./moves.js";

/** What GET /admin/v1/models says; null before the first answer. */
export const listing = signal(null);
/** Why it can't be had, or null. */
export const failure = signal(null);
/** What changed last, in words for those who can't see it. */
export const news = signal("");

const SOON = 1_000;
const LATER = 3_000;

/** Ask once. Returns whether a model is changing. */
export async function refresh() {
  try {
    const found = await get("/admin/v1/models");
    const moves = movesOf(listing.value?.data ?? found.data, found.data);
    if (moves.length) {
      news.value = moves.join(" ");
      // Other parts of the page say where a model stands, too.
      refreshPublic();
    }
    listing.value = found;
    failure.value = null;
  } catch (error) {
    failure.value = error;
  }
  return Boolean(listing.value?.data.some(({ state }) => state === "loading" || state === "draining"));
}

/** Keep it up to date until the returned function is called. */
export function watch() {
  let timer = 0;
  let over = false;
  const turn = async () => {
    clearTimeout(timer);
    const moving = !document.hidden && !expired.value && (await refresh());
    clearTimeout(timer);
    if (!over) timer = setTimeout(turn, moving || failure.value ? SOON : LATER);
  };
  document.addEventListener("visibilitychange", turn);
  turn();
  return () => {
    over = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", turn);
  };
}
