/** Days as the usage is counted in, which are UTC's: ranges to choose from, and a chart's days. Pure functions. */

const DAY = 86_400_000;

export const RANGES = [
  ["1", "Today"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "A year"],
  ["all", "All"],
  ["own", "From … until"],
];

/** 2026-11-26 of an instant. */
export function dayOf(instant) {
  return new Date(instant).toISOString().slice(0, 10);
}

/** since and until, both included, null for no bound. own: the days that were typed, "" where there is none. */
export function boundsOf(range, own, now = Date.now()) {
  if (range === "all") return { since: null, until: null };
  if (range === "own") return { since: own.since || null, until: own.until || null };
  return { since: dayOf(now - (Number(range) - 1) * DAY), until: dayOf(now) };
}

/** Every day from the first to the last, as ISO dates; at most `most`, the last ones. */
export function daysBetween(first, last, most = 3660) {
  const end = Date.parse(last);
  const days = [];
  for (let at = Math.max(Date.parse(first), end - (most - 1) * DAY); at <= end; at += DAY) days.push(dayOf(at));
  return days;
}

/** Where a day stands on a chart's axis, in seconds: the axis is labelled in the reader's own time. */
export function axisOf(day) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date).getTime() / 1000;
}
