/** What two scrapes say together: increases, rates and quantiles. Pure functions over what exposition.js reads. */

/** A scrape: at: seconds since 1970; started: when the server's process was, or null. */
export function scrapeOf(samples, at) {
  const started = samples.get("process_start_time_seconds")?.[0]?.value ?? null;
  return { at, started, samples };
}

const keyOf = (labels) => JSON.stringify(Object.entries(labels).sort());

/**
 * By how much each series of a counter grew, as [{labels, value}]. What a server that was started anew counts, it has
 * counted since: its counters begin at zero, as does a series that was not there before.
 */
export function increases(before, after, name) {
  const now = after.samples.get(name) ?? [];
  const anew = before.started !== after.started;
  const old = new Map((anew ? [] : (before.samples.get(name) ?? [])).map((one) => [keyOf(one.labels), one.value]));
  return now.map(({ labels, value }) => {
    const was = old.get(keyOf(labels)) ?? 0;
    return { labels, value: value < was ? value : value - was };
  });
}

/** The sum of what `wanted` takes of them. */
export function sum(series, wanted = () => true) {
  return series.reduce((total, one) => (wanted(one.labels) ? total + one.value : total), 0);
}

/** The sum of a gauge's series as they are now. */
export function gauge(scrape, name, wanted) {
  return sum(scrape.samples.get(name) ?? [], wanted);
}

/**
 * The value below which a share q of the observations lies, by the increases of a histogram's cumulative buckets, linear
 * within a bucket as PromQL's histogram_quantile has it; null where nothing was observed.
 */
export function quantile(q, buckets, wanted = () => true) {
  const byBound = new Map();
  for (const { labels, value } of buckets) {
    if (!wanted(labels)) continue;
    const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
    byBound.set(bound, (byBound.get(bound) ?? 0) + value);
  }
  const bounds = [...byBound].sort(([one], [other]) => one - other);
  const total = bounds.at(-1)?.[1] ?? 0;
  if (!total) return null;
  const rank = q * total;
  const at = bounds.findIndex(([, count]) => count >= rank);
  const [upper, count] = bounds[at];
  const [lower, below] = at ? bounds[at - 1] : [0, 0];
  if (upper === Infinity) return lower;
  return lower + ((upper - lower) * (rank - below)) / Math.max(count - below, 1e-9);
}
