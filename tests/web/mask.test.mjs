// The mask of the Images tab: strokes that can be taken back, and what they paint.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  added,
  brushFor,
  isEmpty,
  NOTHING,
  paintMask,
  paintOver,
  rectangle,
  redone,
  standing,
  undone,
} from "../../server/web/static/js/playground/images/mask.js";

const dot = { kind: "brush", size: 4, points: [[1, 2]], erase: false };
const line = {
  kind: "brush",
  size: 6,
  points: [
    [0, 0],
    [5, 5],
  ],
  erase: true,
};

/** A canvas' context that writes down what it is asked for. */
function context() {
  const calls = [];
  return new Proxy(
    { calls },
    {
      get: (own, name) => (name in own ? own[name] : (...parts) => calls.push([name, ...parts])),
      set: (_, name, value) => calls.push([`${name}=`, value]),
    },
  );
}

test("a stroke can be taken back and brought again, until another one is made", () => {
  const two = added(added(NOTHING, dot), line);
  const one = undone(two);
  assert.deepEqual(one.strokes, [dot]);
  assert.deepEqual(redone(one).strokes, [dot, line]);
  assert.deepEqual(redone(added(one, dot)).strokes, [dot, dot]);
  assert.equal(undone(NOTHING), NOTHING);
  assert.equal(redone(NOTHING), NOTHING);
});

test("clearing takes back all before it, and can itself be taken back", () => {
  const cleared = added(added(NOTHING, dot), { kind: "clear" });
  assert.ok(isEmpty(cleared));
  assert.deepEqual(standing(added(cleared, line)), [line]);
  assert.ok(!isEmpty(undone(cleared)));
});

test("what only erases marks nothing", () => {
  assert.ok(isEmpty(added(NOTHING, line)));
  assert.ok(!isEmpty(added(added(NOTHING, line), dot)));
});

test("a rectangle is cut off at the picture's edge", () => {
  const size = { width: 100, height: 50 };
  assert.deepEqual(rectangle({ x: -10, y: 40, width: 30, height: 30 }, size), {
    kind: "rectangle",
    x: 0,
    y: 40,
    width: 20,
    height: 10,
    erase: false,
  });
  assert.match(rectangle({ x: 100, y: 0, width: 5, height: 5 }, size).message, /outside the picture.*100 × 50/);
  assert.match(rectangle({ x: 0, y: 0, width: -5, height: 5 }, size).message, /outside/);
  assert.match(rectangle({ x: null, y: 0, width: 5, height: 5 }, size).message, /all four/);
});

test("the mask is black, with holes where something is marked, and black again where that is erased", () => {
  const canvas = context();
  paintMask(canvas, added(added(NOTHING, dot), line), { width: 8, height: 9 });
  const asked = canvas.calls.filter(([name]) =>
    ["fillRect", "globalCompositeOperation=", "arc", "lineTo"].includes(name),
  );
  assert.deepEqual(asked, [
    ["globalCompositeOperation=", "source-over"],
    ["fillRect", 0, 0, 8, 9],
    ["globalCompositeOperation=", "destination-out"],
    ["arc", 1, 2, 2, 0, 2 * Math.PI],
    ["globalCompositeOperation=", "source-over"],
    ["lineTo", 5, 5],
  ]);
});

test("over the picture it is the other way about", () => {
  const canvas = context();
  const marked = rectangle({ x: 1, y: 1, width: 2, height: 3 }, { width: 8, height: 9 });
  paintOver(canvas, added(added(NOTHING, marked), line), { width: 8, height: 9 }, "red");
  const asked = canvas.calls.filter(([name]) => ["fillRect", "clearRect", "globalCompositeOperation="].includes(name));
  assert.deepEqual(asked, [
    ["clearRect", 0, 0, 8, 9],
    ["globalCompositeOperation=", "source-over"],
    ["fillRect", 1, 1, 2, 3],
    ["globalCompositeOperation=", "destination-out"],
  ]);
});

test("a brush suits its picture", () => {
  assert.equal(brushFor({ width: 64, height: 128 }), 6);
  assert.equal(brushFor({ width: 4, height: 4 }), 2);
});
