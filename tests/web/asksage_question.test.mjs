/** The request of a question, the marks in its answer, and states in words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { matching, open } from "../../server/web/static/js/console/knowledge/overseen.js";
import { marked, safeLink, suggestions } from "../../server/web/static/js/playground/asksage/marks.js";
import { bodyOf, datasetsOf, STANDARD } from "../../server/web/static/js/playground/asksage/question.js";
import { stateKind, stateWords, underWay } from "../../server/web/static/js/playground/asksage/states.js";

test("a first question is a text, a later one a conversation", () => {
  const settings = { ...STANDARD, persona: 2, live: 1, temperature: 0.5, references: 3 };
  assert.deepEqual(bodyOf({ question: "When?", settings, model: "chat", there: [] }), {
    message: "When?",
    model: "chat",
    persona: 2,
    dataset: "all",
    limit_references: 3,
    live: 1,
    temperature: 0.5,
    usage: true,
  });
  const turns = [{ question: "When?", answer: "At nine." }];
  assert.deepEqual(bodyOf({ question: "Why?", turns, settings, model: "chat", there: [] }).message, [
    { user: "me", message: "When?" },
    { user: "gpt", message: "At nine." },
    { user: "me", message: "Why?" },
  ]);
});

test("chosen datasets are those that are still there; without one there is none", () => {
  const there = ["user_custom_1_a_content", "user_custom_1_b_content"];
  assert.equal(datasetsOf({ from: "all", datasets: there }, there), "all");
  assert.equal(datasetsOf({ from: "none", datasets: there }, there), "none");
  assert.deepEqual(datasetsOf({ from: "chosen", datasets: ["gone", there[1]] }, there), [there[1]]);
  assert.equal(datasetsOf({ from: "chosen", datasets: ["gone"] }, there), "none");
});

test("numbers in brackets are marks where there is such a reference", () => {
  const known = new Set([1, 2, 12]);
  assert.deepEqual(marked("At nine [1], on Fridays [2][12].", known), ["At nine ", 1, ", on Fridays ", 2, 12, "."]);
  assert.deepEqual(marked("[1, 2] say so.", known), [1, 2, " say so."]);
  for (const text of ["list[3]", "[0]", "[1, 3]", "[x]", "[1234]", "no marks", ""])
    assert.deepEqual(marked(text, known), text ? [text] : []);
});

test("only links of the web are followed", () => {
  assert.equal(safeLink("https://example.org/a b"), "https://example.org/a%20b");
  for (const text of ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "/relative", "", null])
    assert.equal(safeLink(text), null);
});

test("suggestions are lines, without what stands before them", () => {
  assert.deepEqual(suggestions("1. Who?\n- Where?\n\n  * When?\n4) Why?"), ["Who?", "Where?", "When?"]);
  assert.deepEqual(suggestions(`${"x".repeat(301)}\nWho?\nWho?`), ["Who?"]);
  assert.deepEqual(suggestions(""), []);
});

test("a document's state in words", () => {
  const at = (state, done = 0, total = 0) => ({ state, done, total });
  assert.deepEqual(
    [at("queued"), at("reading"), at("reading", 3, 10), at("embedding", 64, 1280), at("ready", 5, 5)].map(stateWords),
    ["Waiting", "Reading", "Reading 3 of 10", "Indexing 64 of 1,280", "Ready"],
  );
  assert.deepEqual(
    ["queued", "reading", "embedding", "ready", "failed", "cancelled"].map((state) => [
      underWay({ state }),
      stateKind({ state }),
    ]),
    [
      [true, "faint"],
      [true, "info"],
      [true, "info"],
      [false, "good"],
      [false, "bad"],
      [false, "faint"],
    ],
  );
});

test("datasets are found by their name and their account's", () => {
  const states = { queued: 1, reading: 2, embedding: 3, ready: 9, failed: 9, cancelled: 9 };
  const all = [
    { name: "Handbook", owner: { name: "ada" }, states },
    { name: "minutes", owner: { name: "Bob" }, states },
  ];
  const names = (words) => matching(all, words).map(({ name }) => name);
  assert.deepEqual(names(""), ["Handbook", "minutes"]);
  assert.deepEqual(names("hand ADA"), ["Handbook"]);
  assert.deepEqual(names("bob"), ["minutes"]);
  assert.deepEqual(names("hand bob"), []);
  assert.equal(open(all[0]), 6);
});
