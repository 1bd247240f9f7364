/** Samples out of bytes that come in pieces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decoded, joined, PcmReader, RATE } from "../../server/web/static/js/playground/speech/pcm.js";

const VALUES = [0, 0.5, -0.5, -1];
const bytes = () => new Uint8Array(Int16Array.from(VALUES, (value) => value * 32_768).buffer);

const all = (reader, parts) => parts.flatMap((part) => [...reader.push(part)]);
const cut = (whole, size) =>
  Array.from({ length: Math.ceil(whole.length / size) }, (_, at) => whole.subarray(at * size, (at + 1) * size));

for (const size of [1, 2, 3, 7, 100]) {
  test(`bare samples in pieces of ${size}`, () => {
    const reader = new PcmReader();
    assert.deepEqual(all(reader, cut(bytes(), size)), VALUES);
    assert.equal(reader.rate, RATE);
  });

  test(`wav in pieces of ${size}`, () => {
    const head = new Uint8Array(44);
    new DataView(head.buffer).setUint32(24, 16_000, true);
    const reader = new PcmReader(true);
    assert.deepEqual(all(reader, cut(joined([head, bytes()]), size)), VALUES);
    assert.equal(reader.rate, 16_000);
  });
}

test("base64 becomes bytes", () => assert.deepEqual([...decoded("AP+A")], [0, 255, 128]));
