/** How fast batches go on, from what a page has seen of them, and how long they will take. Pure functions. */
import { countsOf, isMoving, isPaused } from "./states.js";

/** Seconds that a page looks back: long enough for a steady figure, short enough to see that others have come. */
export const WINDOW = 300;
/** Seconds that it must have seen at least before it says so itself. */
const LEAST = 8;

/** What was seen so far, with one list more. seen: a Map of an id to [[at, done], …]; at: seconds since 1970. */
export function observed(seen, batches, at) {
  const found = new Map();
  for (const batch of batches) {
    // What rests has no pace, and begins anew.
    if (!isMoving(batch)) continue;
    const { done } = countsOf(batch);
    const before = (seen.get(batch.id) ?? []).filter(([then]) => then > at - WINDOW && then < at);
    found.set(batch.id, [...before, [at, done]]);
  }
  return found;
}

/** Requests a second, or null where that is not known. */
export function paceOf(seen, batch, at) {
  if (batch.status !== "in_progress" || isPaused(batch)) return null;
  const samples = seen.get(batch.id) ?? [];
  const [from, before] = samples[0] ?? [];
  const [until, now] = samples.at(-1) ?? [];
  if (until - from >= LEAST && now > before) return (now - before) / (until - from);
  // Until enough was seen: as it went since it was begun.
  const { done } = countsOf(batch);
  const since = at - (batch.in_progress_at ?? at);
  return done > 0 && since >= LEAST ? done / since : null;
}

/** Seconds until it is done, or null where that can't be said. */
export function timeLeft(seen, batch, at) {
  const pace = paceOf(seen, batch, at);
  return pace ? countsOf(batch).left / pace : null;
}

/** Whether it will not be done before it expires, as far as one can say. */
export function isLate(seen, batch, at) {
  const left = timeLeft(seen, batch, at);
  return left !== null && Boolean(batch.expires_at) && at + left > batch.expires_at;
}

/** "12 s", "5 min", "3 h", "2 days": how long ago something was, or how long it will take, as roughly as one says it. */
export function roughly(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.round(whole / 60)} min`;
  if (whole < 2 * 86_400) return `${Math.round(whole / 3_600)} h`;
  return `${Math.round(whole / 86_400)} days`;
}
