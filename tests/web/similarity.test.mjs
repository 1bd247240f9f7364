// How alike vectors are, as the Embeddings tab shows it.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cosine,
  extremes,
  fixed,
  LEVELS,
  levelOf,
  linesOf,
  matrixOf,
} from "../../server/web/static/js/playground/embeddings/similarity.js";

test("the cosine is of directions, not of lengths", () => {
  assert.equal(cosine([3, 0], [5, 0]), 1);
  assert.equal(cosine([1, 0], [0, 2]), 0);
  assert.equal(cosine([1, 1], [-2, -2]).toFixed(9), "-1.000000000");
  assert.equal(cosine([0, 0], [1, 2]), 0);
});

test("a matrix is symmetric, with ones along its diagonal", () => {
  const rows = matrixOf([
    [1, 0],
    [3, 4],
    [0, -1],
  ]);
  assert.deepEqual(rows, [
    [1, 0.6, 0],
    [0.6, 1, -0.8],
    [0, -0.8, 1],
  ]);
  assert.deepEqual(extremes(rows), { most: [0, 1, 0.6], least: [1, 2, -0.8] });
  assert.equal(extremes(matrixOf([[1, 2]])), null);
});

test("the shading has steps, and none for what is opposed", () => {
  assert.deepEqual([-1, 0, 0.04, 0.06, 0.5, 1, 1.0000002].map(levelOf), [0, 0, 0, 1, 5, LEVELS, LEVELS]);
});

test("a number that rounds to zero has no sign", () => {
  assert.deepEqual(
    [-0.001, -0.006, 0.001, -1].map((value) => fixed(value, 2)),
    ["0.00", "-0.01", "0.00", "-1.00"],
  );
});

test("lines that hold nothing are no texts", () => {
  assert.deepEqual(linesOf("one\r\n\n  two \rthree\n"), ["one", "two", "three"]);
  assert.deepEqual(linesOf(" \n"), []);
});
