/** Where in a recording what is said. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces, position, saidAt, withWords } from "../../server/web/static/js/playground/transcription/timing.js";

const word = (text, start, end = start + 0.4) => ({ word: text, start, end });
const text = (found) => found.map((piece) => piece.text).join("");

test("each segment gets its own words, in their order", () => {
  const segments = [
    { start: 0, end: 2 },
    { start: 2, end: 4 },
    { start: 6, end: 8 },
  ];
  const words = [word("a", 0), word("b", 1.9), word("c", 2), word("d", 5), word("e", 6), word("f", 9)];
  assert.deepEqual(
    withWords(segments, words).map((segment) => segment.words.map((one) => one.word)),
    [
      ["a", "b"],
      ["c", "d"],
      ["e", "f"],
    ],
  );
  assert.deepEqual(withWords([], []), []);
});

test("a text is cut at its words and stays the same text", () => {
  const segment = {
    text: " The fox, the dog.",
    words: [word("The", 0), word("fox,", 1), word("the", 2), word("dog.", 3)],
  };
  const found = pieces(segment);
  assert.equal(text(found), segment.text);
  assert.deepEqual(
    found.filter((piece) => piece.word).map((piece) => piece.word.start),
    [0, 1, 2, 3],
  );
});

test("words of a language without spaces stand without them", () => {
  const found = pieces({ text: "今日は", words: [word("今日", 0), word("は", 1)] });
  assert.deepEqual(
    found.map((piece) => piece.text),
    ["今日", "は"],
  );
});

test("a text that lacks its words is shown as the words", () => {
  assert.equal(text(pieces({ text: "fifty", words: [word("50", 0), word("cents", 1)] })), "50 cents");
  assert.deepEqual(pieces({ text: "alone" }), [{ text: "alone" }]);
});

test("what is said at a time", () => {
  const words = [word("a", 0.5), word("b", 1), word("c", 3)];
  assert.deepEqual(
    [0, 0.5, 0.99, 1, 2.9, 3, 99].map((time) => saidAt(words, time)),
    [-1, 0, 0, 1, 1, 2, 2],
  );
  assert.equal(saidAt([], 1), -1);
});

test("positions", () => {
  assert.deepEqual([0, 7.9, 754, 3723].map(position), ["0:00", "0:07", "12:34", "1:02:03"]);
});
