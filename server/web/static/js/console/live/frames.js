/** What the charts and tables show, of scrapes of /metrics. Pure functions. */
import { gauge, increases, quantile, sum } from "./measures.js";

/** Routes by which pages and probes look at the server, rather than ask it for work. */
const LOOKS = new Set(["/", "/playground", "/console", "/health", "/ready", "/metrics", "/version", "/openapi.json"]);
const LOOKED_AT = ["/admin/", "/assets/", "/v1/models", "/v1/key", "/v1/credits", "/v1/usage"];

/** Whether a route does the work that the server is there for. */
export function works(route) {
  return !LOOKS.has(route) && !LOOKED_AT.some((beginning) => route.startsWith(beginning));
}

const kindOf = (status) => (status >= 500 ? "failed" : status >= 400 ? "refused" : "answered");

/**
 * One moment: rates since the scrape before, times of all that ended since the oldest of the window, and what runs now.
 * all: whether looks count too.
 */
export function frameOf(before, oldest, now, all = false) {
  const seconds = Math.max(now.at - before.at, 1e-3);
  const counts = (labels) => all || works(labels.route);
  const requests = increases(before, now, "sagehold_requests_total");
  const rate = (kind) => sum(requests, (labels) => counts(labels) && kindOf(Number(labels.status)) === kind) / seconds;
  const tokens = (name) => sum(increases(before, now, name)) / seconds;
  const whole = increases(oldest, now, "sagehold_request_seconds_bucket");
  const first = increases(oldest, now, "sagehold_first_token_seconds_bucket");
  // Those that began at once are not in it.
  const queued = increases(oldest, now, "sagehold_queue_wait_seconds_bucket");
  return {
    at: now.at,
    answered: rate("answered"),
    refused: rate("refused"),
    failed: rate("failed"),
    prompt: tokens("sagehold_prompt_tokens_total"),
    generated: tokens("sagehold_completion_tokens_total"),
    median: quantile(0.5, whole, counts),
    p95: quantile(0.95, whole, counts),
    firstMedian: quantile(0.5, first),
    firstP95: quantile(0.95, first),
    queueMedian: quantile(0.5, queued),
    queueP95: quantile(0.95, queued),
    running: gauge(now, "sagehold_running_jobs"),
    waiting: gauge(now, "sagehold_queue_depth"),
  };
}

/** A row a route: how many a second over the window, how many were refused or failed, and how long they took. */
export function routesOf(oldest, now, all = false) {
  const seconds = Math.max(now.at - oldest.at, 1e-3);
  const requests = increases(oldest, now, "sagehold_requests_total");
  const times = increases(oldest, now, "sagehold_request_seconds_bucket");
  const routes = [...new Set(requests.filter(({ value }) => value > 0).map(({ labels }) => labels.route))];
  return routes
    .filter((route) => all || works(route))
    .map((route) => {
      const own = (labels) => labels.route === route;
      const of = (kind) => sum(requests, (labels) => own(labels) && kindOf(Number(labels.status)) === kind);
      return {
        id: route,
        rate: sum(requests, own) / seconds,
        answered: of("answered"),
        refused: of("refused"),
        failed: of("failed"),
        median: quantile(0.5, times, own),
        p95: quantile(0.95, times, own),
      };
    })
    .sort((one, other) => other.rate - one.rate || one.id.localeCompare(other.id));
}

/** A row a model: its state, what it works on, who waits for it, and what it made over the window. */
export function modelsOf(oldest, now) {
  const seconds = Math.max(now.at - oldest.at, 1e-3);
  const generated = increases(oldest, now, "sagehold_completion_tokens_total");
  const first = increases(oldest, now, "sagehold_first_token_seconds_bucket");
  return (now.samples.get("sagehold_model_state") ?? [])
    .filter(({ value }) => value === 1)
    .map(({ labels: { model, state } }) => {
      const own = (labels) => labels.model === model;
      return {
        id: model,
        state,
        running: gauge(now, "sagehold_running_jobs", own),
        places: gauge(now, "sagehold_places", own),
        waiting: gauge(now, "sagehold_queue_depth", own),
        generated: sum(generated, own) / seconds,
        firstMedian: quantile(0.5, first, own),
      };
    });
}

/** Frames in steps of `step` seconds for a table, the newest first: of each step the last one. */
export function thinned(frames, step) {
  const byStep = new Map(frames.map((frame) => [Math.floor(frame.at / step), frame]));
  return [...byStep.values()].reverse();
}
