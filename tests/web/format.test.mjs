/** Numbers, amounts and times as the pages write them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, count, credits, moment, number, seconds } from "../../server/web/static/js/format.js";

const rows = (write, cases) => {
  for (const [value, text] of cases) assert.equal(write(value), text);
};

test("bytes", () => {
  rows(bytes, [
    [0, "0 bytes"],
    [1023, "1023 bytes"],
    [1024, "1.0 KiB"],
    [5 * 2 ** 20, "5.0 MiB"],
    [3.25 * 2 ** 30, "3.3 GiB"],
    [2 ** 50, "1024.0 TiB"],
  ]);
});

test("numbers", () => {
  assert.equal(number(12345.678), "12,346");
  assert.equal(number(0.03125, 3), "0.031");
  rows(
    (value) => count(value, "key"),
    [
      [0, "0 keys"],
      [1, "1 key"],
      [1200, "1,200 keys"],
    ],
  );
  assert.equal(count(2, "entry", "entries"), "2 entries");
});

test("credits keep the places that matter, and small amounts are not nothing", () => {
  rows(credits, [
    [0, "0"],
    [100, "100"],
    ["12.5", "12.5"],
    [0.25, "0.25"],
    [1234.567, "1,234.57"],
    [0.0000312, "0.0000312"],
    ["-0.000000001", "-0.000000001"],
    [-0.5, "-0.5"],
  ]);
});

test("durations", () => {
  rows(seconds, [
    [0, "0.00 s"],
    [0.424, "0.42 s"],
    [0.999, "1.0 s"],
    [3.14, "3.1 s"],
    [9.96, "10 s"],
    [59.4, "59 s"],
    [59.6, "1 min 0 s"],
    [125, "2 min 5 s"],
    [3599.7, "1 h 0 min"],
    [11520, "3 h 12 min"],
  ]);
});

test("moments are in the reader's time, and a dash is for none", () => {
  const at = new Date(2026, 10, 26, 4, 5);
  rows(moment, [
    [at.toISOString(), "2026-11-26 04:05"],
    [at.getTime() / 1000, "2026-11-26 04:05"],
    [null, "–"],
    [undefined, "–"],
  ]);
});
