/** Increases, quantiles and frames of two scrapes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../../server/web/static/js/console/live/exposition.js";
import { frameOf, modelsOf, routesOf, thinned, works } from "../../server/web/static/js/console/live/frames.js";
import { gauge, increases, quantile, scrapeOf } from "../../server/web/static/js/console/live/measures.js";
import { duration } from "../../server/web/static/js/console/times.js";

const scrape = (text, at = 0) => scrapeOf(parse(text), at);
const values = (series) => series.map(({ value }) => value);

test("a counter's increase is what came since", () => {
  const before = scrape('n_total{a="x"} 5\nprocess_start_time_seconds 9');
  const after = scrape('n_total{a="y"} 2\nn_total{a="x"} 8\nprocess_start_time_seconds 9');
  assert.deepEqual(values(increases(before, after, "n_total")), [2, 3], "a series that is new began at zero");
});

test("the counters of a server that was started anew begin at zero", () => {
  const before = scrape('n_total{a="x"} 5\nprocess_start_time_seconds 9');
  const more = scrape('n_total{a="x"} 7\nprocess_start_time_seconds 20');
  assert.deepEqual(values(increases(before, more, "n_total")), [7], "although it has counted further already");
  const less = scrape('n_total{a="x"} 3');
  assert.deepEqual(values(increases(scrape('n_total{a="x"} 5'), less, "n_total")), [3]);
});

const histogram = (counts) =>
  scrape(counts.map(([le, count]) => `t_bucket{le="${le}"} ${count}`).join("\n")).samples.get("t_bucket");

test("a quantile is linear within its bucket, as PromQL has it", () => {
  const even = histogram([
    ["1.0", 0],
    ["2.0", 10],
    ["4.0", 20],
    ["+Inf", 20],
  ]);
  assert.equal(quantile(0.5, even), 2);
  assert.equal(quantile(0.75, even), 3);
  assert.equal(quantile(0.25, even), 1.5);
  assert.equal(quantile(1, even), 4);
});

test("a quantile beyond the last bound is that bound, and of nothing there is none", () => {
  assert.equal(
    quantile(
      0.9,
      histogram([
        ["1.0", 1],
        ["+Inf", 9],
      ]),
    ),
    1,
  );
  assert.equal(
    quantile(
      0.5,
      histogram([
        ["1.0", 0],
        ["+Inf", 0],
      ]),
    ),
    null,
  );
  assert.equal(quantile(0.5, []), null);
  assert.equal(
    quantile(
      0.5,
      histogram([
        ["1.0", 4],
        ["+Inf", 4],
      ]),
    ),
    0.5,
    "the first bucket begins at zero",
  );
});

test("series of several labels are one histogram, in whatever order they come", () => {
  const both = [
    ...histogram([
      ["+Inf", 2],
      ["1.0", 1],
      ["2.0", 2],
    ]),
    ...histogram([
      ["2.0", 2],
      ["1.0", 1],
      ["+Inf", 2],
    ]),
  ];
  assert.equal(quantile(0.5, both), 1);
});

const FIRST = `
process_start_time_seconds 1
sagehold_requests_total{route="/v1/chat/completions",status="200",model="m"} 10
sagehold_requests_total{route="/metrics",status="200",model=""} 100
sagehold_completion_tokens_total{model="m"} 1000
`;
const THEN = `
process_start_time_seconds 1
sagehold_requests_total{route="/v1/chat/completions",status="200",model="m"} 16
sagehold_requests_total{route="/v1/chat/completions",status="402",model=""} 2
sagehold_requests_total{route="/v1/chat/completions",status="503",model=""} 1
sagehold_requests_total{route="/metrics",status="200",model=""} 101
sagehold_completion_tokens_total{model="m"} 1200
sagehold_prompt_tokens_total{model="m"} 60
sagehold_request_seconds_bucket{route="/v1/chat/completions",model="m",le="1.0"} 0
sagehold_request_seconds_bucket{route="/v1/chat/completions",model="m",le="2.0"} 6
sagehold_request_seconds_bucket{route="/v1/chat/completions",model="m",le="+Inf"} 6
sagehold_request_seconds_bucket{route="/metrics",model="",le="0.005"} 1
sagehold_request_seconds_bucket{route="/metrics",model="",le="+Inf"} 1
sagehold_first_token_seconds_bucket{model="m",le="0.125"} 6
sagehold_first_token_seconds_bucket{model="m",le="+Inf"} 6
sagehold_queue_wait_seconds_bucket{model="m",class="normal",le="1.0"} 4
sagehold_queue_wait_seconds_bucket{model="m",class="normal",le="+Inf"} 4
sagehold_model_state{model="m",state="ready"} 1
sagehold_model_state{model="m",state="failed"} 0
sagehold_running_jobs{model="m"} 2
sagehold_queue_depth{model="m",class="normal"} 3
sagehold_queue_depth{model="m",class="high"} 1
sagehold_places{model="m"} 8
`;

test("a frame has rates by outcome, times and what runs now", () => {
  const [before, now] = [scrape(FIRST, 100), scrape(THEN, 102)];
  const frame = frameOf(before, before, now);
  assert.deepEqual(
    { ...frame, p95: null, queueP95: null, firstMedian: null, firstP95: null },
    {
      at: 102,
      answered: 3,
      refused: 1,
      failed: 0.5,
      prompt: 30,
      generated: 100,
      median: 1.5,
      p95: null,
      firstMedian: null,
      firstP95: null,
      queueMedian: 0.5,
      queueP95: null,
      running: 2,
      waiting: 4,
    },
  );
  assert.equal(frame.firstMedian, 0.0625);
  assert.ok(Math.abs(frame.p95 - 1.95) < 1e-9);
  assert.equal(frameOf(before, before, now, true).answered, 3.5, "with the page's own looks");
});

test("routes and models are rows over the window", () => {
  const [before, now] = [scrape(FIRST, 100), scrape(THEN, 110)];
  const [chat, ...others] = routesOf(before, now);
  assert.deepEqual(others, []);
  assert.deepEqual(
    [chat.id, chat.rate, chat.answered, chat.refused, chat.failed, chat.median],
    ["/v1/chat/completions", 0.9, 6, 2, 1, 1.5],
  );
  assert.deepEqual(
    routesOf(before, now, true).map(({ id }) => id),
    ["/v1/chat/completions", "/metrics"],
  );
  assert.deepEqual(modelsOf(before, now), [
    { id: "m", state: "ready", running: 2, places: 8, waiting: 4, generated: 20, firstMedian: 0.0625 },
  ]);
  assert.equal(
    gauge(now, "sagehold_queue_depth", ({ class: of }) => of === "high"),
    1,
  );
});

test("looks of pages are no work", () => {
  assert.ok(["/v1/chat/completions", "/server/query", "/v1/audio/speech"].every(works));
  assert.ok(
    !["/", "/console", "/metrics", "/v1/models", "/admin/v1/models", "/assets/{folder}/{name:path}"].some(works),
  );
});

test("a table has the last frame of each step, the newest first", () => {
  const frames = [1, 29, 30, 58, 61].map((at) => ({ at }));
  assert.deepEqual(
    thinned(frames, 30).map(({ at }) => at),
    [61, 58, 29],
  );
});

test("times are read in the unit that fits them", () => {
  assert.deepEqual([null, 0, 0.0026, 0.08, 0.9994, 0.9996, 1.44, 125].map(duration), [
    "–",
    "0 s",
    "2.6 ms",
    "80 ms",
    "999 ms",
    "1.0 s",
    "1.4 s",
    "2 min 5 s",
  ]);
});
