/** Ranges of days, and usage as stacked columns. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { axisOf, boundsOf, daysBetween } from "../../server/web/static/js/console/usage/ranges.js";
import { nameOf, stacked } from "../../server/web/static/js/console/usage/stack.js";

const NOW = Date.parse("2026-03-01T23:30:00Z");
const BOUNDS = { since: "2026-02-27", until: "2026-03-01" };
const row = (day, model, cost, more) => ({
  day,
  model,
  cost,
  prompt_tokens: 10,
  completion_tokens: 5,
  requests: 1,
  ...more,
});

test("a range ends today, by UTC, and counts today", () => {
  assert.deepEqual(boundsOf("1", {}, NOW), { since: "2026-03-01", until: "2026-03-01" });
  assert.deepEqual(boundsOf("7", {}, NOW), { since: "2026-02-23", until: "2026-03-01" });
  assert.deepEqual(boundsOf("all", {}, NOW), { since: null, until: null });
  assert.deepEqual(boundsOf("own", { since: "", until: "2026-01-01" }, NOW), { since: null, until: "2026-01-01" });
});

test("days between have no gaps, and no end of time", () => {
  assert.deepEqual(daysBetween("2026-02-27", "2026-03-01"), ["2026-02-27", "2026-02-28", "2026-03-01"]);
  assert.deepEqual(daysBetween("2026-03-02", "2026-03-01"), []);
  assert.deepEqual(daysBetween("0001-01-01", "2026-03-01", 2), ["2026-02-28", "2026-03-01"]);
});

test("columns stand on each other, the largest part on top, and days without use are empty", () => {
  const rows = [row("2026-02-27", "a", "1"), row("2026-02-27", "b", "2"), row("2026-03-01", "b", "0.5")];
  const { x, series } = stacked(rows, "model", "cost", BOUNDS);
  assert.equal(x.length, 5);
  assert.equal(x[1], axisOf("2026-02-27"));
  assert.deepEqual(series, [
    { label: "b", values: [null, 3, null, 0.5, null] },
    { label: "a", values: [null, 1, null, null, null] },
  ]);
});

test("small parts are one", () => {
  const rows = Array.from({ length: 9 }, (_, at) => row("2026-03-01", `m${at}`, String(9 - at)));
  const { series } = stacked(rows, "model", "cost", BOUNDS);
  assert.deepEqual(
    series.map(({ label }) => label),
    ["m0", "m1", "m2", "m3", "m4", "4 others"],
  );
  assert.equal(series[0].values[3], 45);
  assert.equal(series[5].values[3], 10);
});

test("tokens are those of prompt and answer; by day alone there is one series", () => {
  const { series } = stacked([row("2026-03-01", "a", "1")], null, "tokens", BOUNDS);
  assert.deepEqual(series, [{ label: "All", values: [null, null, null, 15, null] }]);
  assert.equal(stacked([], "model", "cost", BOUNDS), null);
});

test("without bounds the chart begins with the first day of use", () => {
  const rows = [row("2026-03-01", "a", "1"), row("2026-02-28", "a", "1")];
  assert.equal(stacked(rows, "model", "cost", { since: null, until: null }).x.length, 4);
});

test("years that were asked for are drawn as far as there is something", () => {
  const rows = [row("2026-03-01", "a", "1"), row("2026-02-28", "a", "1")];
  for (const bounds of [
    { since: "0001-01-01", until: "2026-03-01" },
    { since: "2026-02-01", until: "9999-12-31" },
  ]) {
    const { x, series } = stacked(rows, "model", "cost", bounds);
    assert.equal(x.length, 4);
    assert.deepEqual(series[0].values, [null, 1, 1, null]);
  }
});

test("two keys of one name are two parts, and a key without a name can be told", () => {
  const rows = [
    row("2026-03-01", "a", "2", { key: "key_1", key_name: "same" }),
    row("2026-03-01", "a", "1", { key: "key_2", key_name: "same" }),
  ];
  assert.equal(stacked(rows, "key", "cost", BOUNDS).series.length, 2);
  assert.equal(nameOf({ key: "key_3", key_name: "" }, "key"), "without a name (key_3)");
  assert.equal(nameOf({ model: "gpt" }, "model"), "gpt");
});
