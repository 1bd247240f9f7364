/** Credits keep all their digits between the answer and the page, and between the field and the request. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isZero, parse, shown, signed, typed } from "../../server/web/static/js/amounts.js";

test("amounts of an answer keep digits that a number loses, and nothing else changes", () => {
  const answer = parse(
    '{"data":[{"balance":900000000.123456789,"held" : 0,"available":-0.000000001,"weight":12,"cost":5,"audio_seconds":1.5}]}',
  );
  assert.deepEqual(answer.data[0], {
    balance: "900000000.123456789",
    held: "0",
    available: "-0.000000001",
    weight: 12,
    cost: "5",
    audio_seconds: 1.5,
  });
});

test("a note that looks like a field of an answer stays what it is", () => {
  const notes = ['"amount":1', 'x","amount":2,"y":"', "\\", '\\"amount\\":3', '{"cost":4}', "amount", "\u202e\u2028💶"];
  for (const note of notes) {
    const text = JSON.stringify({ note, amount: 0.1, amounts: ["amount", 5], cost: null });
    assert.deepEqual(parse(text), { note, amount: "0.1", amounts: ["amount", 5], cost: null });
  }
});

test("a field's name is read as JSON has it", () => {
  assert.deepEqual(parse('{"am\\u006funt":1.10}'), { amount: "1.10" });
});

test("amounts are shown with all their digits", () => {
  const texts = { 0: "0", 999: "999", 1000: "1,000", 1234567.123456789: "1,234,567.123456789", "-1000.5": "-1,000.5" };
  for (const [amount, text] of Object.entries(texts)) assert.equal(shown(amount), text);
});

test("an entry has a sign unless it is nothing", () => {
  assert.deepEqual(["5", "-5", "0", "0.000000001"].map(signed), ["+5", "-5", "0", "+0.000000001"]);
  assert.deepEqual(["0", "0.000", "-0", "0.001"].map(isZero), [true, true, true, false]);
});

test("what is typed is sent as it is, or is no amount", () => {
  for (const text of ["5", "0.000000001", "900000000.123456789"]) assert.equal(typed(` ${text} `), text);
  for (const text of ["", "1,5", "1e3", "-1", "+1", ".5", "5.", "0x1", "1.0000000001", "NaN", "1 000", "٣"]) {
    assert.equal(typed(text), null, text);
  }
});
