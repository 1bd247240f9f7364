/** Starting a run of the Images tab: once for each press, to its last event, and without what was deleted meanwhile. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { models } from "../../server/web/static/js/models.js";
import { prompt, run, running, set, start, way } from "../../server/web/static/js/playground/images/drawing.js";
import { drop, gallery } from "../../server/web/static/js/playground/images/gallery.js";
import { source } from "../../server/web/static/js/playground/images/source.js";
import { me } from "../../server/web/static/js/session.js";

let asked;
let pieces;

beforeEach(() => {
  asked = 0;
  pieces = [];
  models.value = [{ id: "m", state: "ready", capabilities: ["image"] }];
  me.value = { scopes: ["inference"] };
  prompt.value = "teal";
  way.value = "draw";
  set("n", 2);
  run.value = null;
  gallery.value = [];
  globalThis.fetch = async () => {
    asked += 1;
    const body = new ReadableStream({
      async start(to) {
        for await (const piece of pieces) to.enqueue(new TextEncoder().encode(piece));
        to.close();
      },
    });
    return new Response(body, { headers: { "x-request-id": "req_1" } });
  };
});

const completed = (index) =>
  `data: ${JSON.stringify({ type: "image_generation.completed", b64_json: "AAAA", index, seed: 1, size: "8x8", output_format: "png", usage: {} })}\n\n`;

test("two presses begin one run", async () => {
  way.value = "edit";
  source.value = { blob: new Blob(["x"]), name: "x.png", type: "image/png", width: 8, height: 8 };
  pieces = [completed(0), completed(1)];
  const first = start();
  assert.equal(running.value, true);
  await Promise.all([first, start()]);
  assert.equal(asked, 1);
  assert.equal(run.value.state, "done");
});

test("a stream that ends before its last picture broke off", async () => {
  pieces = [completed(0)];
  await start();
  const { state, error, slots } = run.value;
  assert.deepEqual([state, error.message, error.requestId], ["failed", "The answer broke off.", "req_1"]);
  assert.deepEqual(
    slots.map((slot) => slot.state),
    ["done", "waiting"],
  );
  assert.equal(gallery.value.length, 1);
});

test("a picture that is deleted while the others are drawn stays deleted", async () => {
  pieces = (async function* () {
    yield completed(0);
    while (!gallery.value.length) await new Promise((resolve) => setTimeout(resolve));
    await drop(gallery.value[0].id);
    yield completed(1);
  })();
  await start();
  assert.deepEqual(
    gallery.value.map(({ index }) => index),
    [1],
  );
});
