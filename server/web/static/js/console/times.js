/** Times of requests as people read them: from a millisecond to minutes. Pure. */
import { number, seconds } from "../format.js";

/** 80 ms, 1.4 s, 2 min 5 s; a dash where nothing was observed. */
export function duration(value) {
  if (value === null) return "–";
  if (value === 0) return "0 s";
  return value < 0.9995 ? `${number(value * 1000, value < 0.01 ? 1 : 0)} ms` : seconds(value);
}

/** So many a second, with as many places as matter. */
export const rate = (value) => number(value, value < 10 ? 2 : 0);
