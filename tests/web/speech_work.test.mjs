/** Speech that is being made: what its end is taken for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { error, phase, speak, text } from "../../server/web/static/js/playground/speech/work.js";

globalThis.AudioContext = class {
  currentTime = 0;
  close() {}
};

const settings = { voice: "", format: "wav", speed: null, quality: "auto" };

test("a stream that ends without its last event broke off", async () => {
  text.value = "Good morning.";
  globalThis.fetch = async () => new Response("", { headers: { "x-request-id": "req_1" } });
  await speak(settings, "m");
  assert.deepEqual(
    [phase.value, error.value.message, error.value.requestId],
    ["failed", "The answer broke off.", "req_1"],
  );
  const done = { type: "speech.audio.done", usage: {} };
  globalThis.fetch = async () => new Response(`data: ${JSON.stringify(done)}\n\n`);
  await speak(settings, "m");
  assert.deepEqual([phase.value, error.value], ["done", null]);
});
