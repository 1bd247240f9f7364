// A run of the Images tab: from its events to what is shown, said and kept of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { STANDARD } from "../../server/web/static/js/playground/images/request.js";
import {
  begun,
  blobOf,
  ended,
  entryOf,
  finished,
  spoken,
  withAnswer,
  withEvent,
} from "../../server/web/static/js/playground/images/run.js";

const start = (n) => begun({ id: "r", way: "draw", model: "m", prompt: "p", settings: { ...STANDARD, n }, at: 10_000 });
const event = (index, more) => ({
  index,
  seed: 5 + index,
  size: "64x64",
  output_format: "png",
  blob: `blob ${index}`,
  ...more,
});
const preview = (index, number) =>
  event(index, { type: "image_generation.partial_image", partial_image_index: number });
const completed = (index, usage) => event(index, { type: "image_edit.completed", usage });

test("a picture waits, shows its previews, and is done", () => {
  const first = start(2);
  assert.deepEqual(first.slots, [{ state: "waiting" }, { state: "waiting" }]);
  const second = withEvent(first, preview(1, 0), 10_250);
  assert.equal(second.slots[1].state, "preview");
  assert.equal(second.slots[1].partial, 1);
  assert.equal(second.firstAfter, 0.25);
  const third = withEvent(second, completed(1, { quality: { mode: "low" } }), 11_000);
  assert.equal(third.slots[1].state, "done");
  assert.equal(third.firstAfter, 0.25);
  assert.equal(finished(third), 1);
  assert.equal(third.credits, null);
  assert.equal(spoken(third), "Picture 1 of 2 is ready.");
  const last = ended(
    withEvent(third, completed(0, { credits: 0.5, quality: { mode: "low" } }), 12_000),
    "done",
    12_500,
  );
  assert.equal(last.credits, 0.5);
  assert.equal(last.seconds, 2.5);
  assert.equal(spoken(last), "All 2 pictures are ready.");
  assert.equal(first.slots[1].state, "waiting", "a run is never changed");
});

test("an answer in one piece is all pictures at once", () => {
  const answer = {
    data: [{ seed: 1 }, { seed: 2 }],
    size: "32x16",
    output_format: "webp",
    usage: { credits: 2, quality: { mode: "high" } },
  };
  const run = withAnswer(start(2), answer, ["a", "b"], 10_100);
  assert.deepEqual(run.slots[1], { state: "done", blob: "b", seed: 2, size: "32x16", format: "webp" });
  assert.equal(run.credits, 2);
});

test("what was not done when it was stopped stays as far as it came", () => {
  const run = ended(withEvent(start(3), completed(0, {}), 10_100), "stopped", 10_200);
  assert.equal(spoken(run), "Stopped. 1 of 3 drawn.");
  assert.deepEqual(
    run.slots.map((slot) => slot.state),
    ["done", "waiting", "waiting"],
  );
  assert.equal(spoken(ended(start(1), "failed", 10_100, new Error("no"))), "", "the error speaks for itself");
  assert.equal(spoken(null), "");
});

test("the gallery keeps a picture with all that draws it again", () => {
  const run = ended(withEvent(start(2), completed(1, { credits: 0.25 }), 10_100), "done", 10_400);
  const entry = entryOf(run, 1);
  assert.equal(entry.id, "r-1");
  assert.equal(entry.seed, 6);
  assert.equal(entry.settings.n, 2);
  assert.equal(entry.together, 2);
  assert.equal(entry.credits, 0.25);
  assert.equal(entry.seconds, 0.4);
  assert.ok(!JSON.stringify(entry).includes("sk-"));
});

test("base64 is read to the byte", async () => {
  const blob = blobOf(Buffer.from([0, 255, 128, 10]).toString("base64"), "png");
  assert.equal(blob.type, "image/png");
  assert.deepEqual([...new Uint8Array(await blob.arrayBuffer())], [0, 255, 128, 10]);
});
