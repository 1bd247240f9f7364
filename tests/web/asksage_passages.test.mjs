/** A document's passages as one text: nothing twice, nothing left out, the cited one whole. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { paragraphs, pieces, shortName, whereabouts } from "../../server/web/static/js/playground/asksage/passages.js";

const TEXT = "One is first. Two is next. 🦉 Three owls. Four ends it.\n\nA new paragraph.";
/** Passages of TEXT, by character as the server counts them: an owl is one. */
function passage(place, start, end, more = {}) {
  return { place, text: [...TEXT].slice(start, end).join(""), heading: "", page: null, start, end, ...more };
}
const shown = (found) =>
  paragraphs(found)
    .map((paragraph) => paragraph.map(({ gap, text }) => gap + text).join(""))
    .join("\n\n");

test("passages that overlap give the text once, whichever of them is cited", () => {
  const all = [passage(0, 0, 26), passage(1, 14, 40), passage(2, 27, 54), passage(3, 56, 72)];
  for (const cited of [null, 0, 1, 2, 3]) {
    const found = pieces(all, cited);
    assert.equal(shown(found), TEXT, `cited: ${cited}`);
    assert.deepEqual(
      found.filter((piece) => piece.cited).map(({ place, text }) => [place, text]),
      cited === null ? [] : [[cited, all[cited].text]],
    );
  }
});

test("one that lies within its neighbours is left out, unless it is cited", () => {
  const all = [passage(0, 0, 26), passage(1, 14, 26), passage(2, 14, 40)];
  assert.deepEqual(
    pieces(all).map(({ place }) => place),
    [0, 2],
  );
  assert.deepEqual(
    pieces(all, 1).map(({ text }) => text.trim()),
    ["One is first.", "Two is next.", "🦉 Three owls."],
  );
});

test("headings and pages are said where they change", () => {
  const all = [
    passage(0, 0, 13, { heading: "A", page: 1 }),
    passage(1, 14, 26, { heading: "A", page: 1 }),
    passage(2, 27, 40, { heading: "A › B", page: 1 }),
    passage(3, 41, 54, { heading: "A › B", page: 2 }),
  ];
  assert.deepEqual(
    pieces(all).map(({ heading, page, apart, gap }) => [heading, page, apart, gap]),
    [
      ["A", 1, true, ""],
      ["", null, false, " "],
      ["A › B", null, true, " "],
      ["", 2, true, " "],
    ],
  );
});

test("a recording's passages, whose places are times, are left as they are", () => {
  const all = [
    { place: 0, text: "good morning", heading: "", page: null, start: 0, end: 1500 },
    { place: 1, text: "good night", heading: "", page: null, start: 1500, end: 2000 },
  ];
  for (const cited of [null, 0, 1]) {
    assert.deepEqual(
      pieces(all, cited).map(({ text, apart }) => [text, apart]),
      [
        ["good morning", true],
        ["good night", true],
      ],
    );
  }
});

test("where a passage stands, in words", () => {
  assert.equal(shortName("user_custom_7_hand_book_content"), "hand_book");
  assert.equal(shortName("handbook"), "handbook");
  assert.equal(whereabouts({ page: 3, heading: "Leave › Parents" }), "page 3 · Leave › Parents");
  assert.equal(whereabouts({ page: null, heading: "Leave" }), "Leave");
  assert.equal(whereabouts({ page: null, heading: "" }), "");
});
