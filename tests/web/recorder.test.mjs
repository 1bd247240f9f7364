/** How loud it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { loudness } from "../../server/web/static/js/playground/transcription/recorder.js";

test("loudness goes from silence to full scale", () => {
  assert.equal(loudness(new Float32Array(64)), 0);
  assert.equal(loudness(new Float32Array(64).fill(1)).toFixed(3), "1.000");
  assert.equal(loudness(new Float32Array(64).fill(0.001)).toFixed(2), "0.00");
  assert.equal(loudness(new Float32Array(64).fill(Math.sqrt(0.001))).toFixed(2), "0.50");
});
