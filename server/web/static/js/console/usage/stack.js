/** Rows of usage by day and something else, as stacked columns of a chart. Pure functions. */
import { axisOf, daysBetween } from "./ranges.js";

export const MEASURES = [
  ["cost", "Credits"],
  ["tokens", "Tokens"],
  ["requests", "Requests"],
];
const MOST = 5;
const LONGEST = 366;

/** A row's figure for a chart, which needs no more digits than a pixel shows. */
export function figureOf(row, measure) {
  return measure === "tokens" ? row.prompt_tokens + row.completion_tokens : Number(row[measure]);
}

/** What a row is of: the name where there is one, else the id; "without a name" for a key of none. */
export function nameOf(row, group) {
  const name = row[`${group}_name`];
  if (name === undefined) return row[group];
  return name || (group === "key" ? `without a name (${row[group]})` : row[group]);
}

/**
 * Columns on top of each other, for a chart that draws one series over the other: the first is the sum of all, the last the
 * part at the bottom. The largest `MOST` parts have series of their own.
 * @param {object[]} rows of `day` and `group`; group null: of the day alone
 * @param {{since: string | null, until: string | null}} bounds
 * @returns {{x: number[], series: {label: string, values: (number | null)[]}[]} | null} null where there is nothing
 */
export function stacked(rows, group, measure, bounds) {
  if (!rows.length) return null;
  const all = rows.map((row) => row.day).sort();
  const asked = daysBetween(bounds.since ?? all[0], bounds.until ?? all.at(-1), LONGEST + 1);
  // Days without end are drawn as far as there is something.
  const days = asked.length > LONGEST ? daysBetween(all[0], all.at(-1)) : asked;
  const at = new Map(days.map((day, place) => [day, place]));
  const parts = new Map();
  for (const row of rows) {
    const id = group ? row[group] : "";
    if (!parts.has(id)) parts.set(id, { label: group ? nameOf(row, group) : "All", values: days.map(() => 0), sum: 0 });
    const part = parts.get(id);
    const figure = figureOf(row, measure);
    part.sum += figure;
    if (at.has(row.day)) part.values[at.get(row.day)] += figure;
  }
  const sorted = [...parts.values()].sort((one, other) => other.sum - one.sum);
  const own = sorted.slice(0, sorted.length > MOST + 1 ? MOST : MOST + 1);
  const rest = sorted.slice(own.length);
  if (rest.length) {
    own.push({ label: `${rest.length} others`, values: days.map((_, place) => sumAt(rest, place)), sum: 0 });
  }
  // From the top down: each column reaches as high as its own part and all below it; there is none of nothing.
  const series = own.map(({ label }, place) => ({
    label,
    values: [null, ...days.map((_, day) => sumAt(own.slice(place), day) || null), null],
  }));
  // An empty day on both sides, so that the first and the last column are drawn whole.
  const axis = days.map(axisOf);
  return { x: [axis[0] - 86_400, ...axis, axis.at(-1) + 86_400], series };
}

function sumAt(parts, place) {
  return parts.reduce((sum, part) => sum + part.values[place], 0);
}
