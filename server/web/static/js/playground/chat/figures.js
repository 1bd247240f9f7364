/** What an answer has taken: tokens, credits, times. Pure functions. */

/** A decimal string as a whole number and the places behind its point. */
function parsed(decimal) {
  const [, sign, whole, rest = ""] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal) ?? [null, "", "0"];
  return { units: BigInt(`${sign}${whole}${rest}`), places: rest.length };
}

/** The sum of amounts times prices, exactly, as a decimal string. terms: [price, amount], a decimal string and a whole
 * number. */
export function sumOf(terms) {
  const read = terms.map(([price, amount]) => ({ ...parsed(price), amount: BigInt(amount) }));
  const places = Math.max(0, ...read.map((one) => one.places));
  const total = read.reduce((sum, one) => sum + one.units * one.amount * 10n ** BigInt(places - one.places), 0n);
  const digits = String(total).padStart(places + 1, "0");
  const whole = digits.slice(0, digits.length - places);
  const rest = digits.slice(digits.length - places).replace(/0+$/, "");
  return rest ? `${whole}.${rest}` : whole;
}

/** What an answer costs: what the server says was paid, else its tokens at the model's prices. Null where neither is
 * known. @returns {{amount: string, paid: boolean} | null} */
export function costOf(usage, price) {
  if (!usage) return null;
  if (usage.credits !== undefined) return { amount: String(usage.credits), paid: true };
  if (!price) return null;
  const terms = [
    [price.prompt_token ?? "0", usage.prompt_tokens],
    [price.completion_token ?? "0", usage.completion_tokens],
  ];
  return { amount: sumOf(terms), paid: false };
}

/** Seconds below which the pieces of an answer came all at once, so that they say nothing of how fast it was written. */
const BURST = 0.05;

/**
 * Times of an answer, in seconds. begun, first, last: milliseconds. Where several passes or drafts wrote the tokens, the
 * last of them came all at once, so that the rate is that of the whole time.
 * @returns {{toFirst: number | null, total: number, rate: number | null}}
 */
export function timesOf({ begun, first, last, ended }, usage) {
  const total = (ended - begun) / 1000;
  const toFirst = first === null ? null : (first - begun) / 1000;
  const tokens = usage?.completion_tokens ?? 0;
  const quality = usage?.quality;
  const alone = !quality || (quality.passes <= 1 && quality.candidates <= 1);
  const writing = first === null ? 0 : (last - first) / 1000;
  let rate = null;
  if (alone && tokens > 1 && writing >= BURST) rate = (tokens - 1) / writing;
  else if (tokens && total > 0) rate = tokens / total;
  return { toFirst, total, rate };
}

/** The probability of a token as one of five shades: 0 for what was all but certain, 4 for what was unlikely. */
export function shadeOf(logprob) {
  const probability = Math.exp(logprob);
  return [0.9, 0.6, 0.3, 0.1].findIndex((least) => probability >= least) + (probability < 0.1 ? 5 : 0);
}
