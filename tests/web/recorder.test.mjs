/** How loud it is, and a recording that is given up or ends before it began. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  finish,
  loudness,
  obstacle,
  record,
  state,
} from "../../server/web/static/js/playground/transcription/recorder.js";

test("loudness goes from silence to full scale", () => {
  assert.equal(loudness(new Float32Array(64)), 0);
  assert.equal(loudness(new Float32Array(64).fill(1)).toFixed(3), "1.000");
  assert.equal(loudness(new Float32Array(64).fill(0.001)).toFixed(2), "0.00");
  assert.equal(loudness(new Float32Array(64).fill(Math.sqrt(0.001))).toFixed(2), "0.50");
});

/** A microphone whose reader allows it when `allow` is called, and that hears nothing. */
function microphone() {
  const track = { stopped: false, stop: () => Object.assign(track, { stopped: true }) };
  const source = { getTracks: () => [track], getAudioTracks: () => [track] };
  let allow;
  const asking = new Promise((resolve) => {
    allow = () => resolve(source);
  });
  globalThis.isSecureContext = true;
  const mediaDevices = { getUserMedia: () => asking };
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
  globalThis.AudioContext = class {
    createAnalyser = () => ({ getFloatTimeDomainData: () => {} });
    createMediaStreamSource = () => ({ connect: () => {} });
    close() {}
  };
  globalThis.MediaRecorder = class {
    static isTypeSupported = () => true;
    mimeType = "audio/webm;codecs=opus";
    state = "recording";
    start() {}
    stop() {
      this.onstop();
    }
  };
  return { track, allow };
}

test("a microphone that is allowed once it was given up is let go", async () => {
  const { track, allow } = microphone();
  const begun = record(() => assert.fail("there is no recording"));
  finish(false);
  allow();
  await begun;
  assert.deepEqual([state.value, track.stopped], ["off", true]);
});

test("a recording with nothing in it is no file, and that is said", async () => {
  const { track, allow } = microphone();
  allow();
  await record(() => assert.fail("there is no recording"));
  assert.equal(state.value, "on");
  finish();
  assert.deepEqual([state.value, track.stopped], ["off", true]);
  assert.match(obstacle.value, /^Nothing was recorded/);
});
