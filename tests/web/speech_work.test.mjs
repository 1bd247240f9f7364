/** Speech that is being made: what its end is taken for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { error, file, phase, player, speak, text } from "../../server/web/static/js/playground/speech/work.js";

globalThis.AudioContext = class {
  currentTime = 0;
  createBuffer() {
    throw new RangeError("The sample rate is outside the range.");
  }
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

test("what this browser can't play is still made, and can be downloaded", async () => {
  text.value = "Good morning.";
  const sound = { type: "speech.audio.delta", audio: btoa("\0".repeat(48)) };
  const done = { type: "speech.audio.done", usage: {} };
  globalThis.fetch = async () => new Response([sound, done].map((one) => `data: ${JSON.stringify(one)}\n\n`).join(""));
  await speak(settings, "m");
  assert.deepEqual(
    [phase.value, error.value, player.value.broken.value, file.value.blob.size],
    ["done", null, true, 48],
  );
});
