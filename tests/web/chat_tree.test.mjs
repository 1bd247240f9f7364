/** The tree of a conversation: branches are added, shown and merged, and nothing is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  change,
  EMPTY,
  keep,
  leaf,
  merged,
  path,
  place,
  show,
  upTo,
} from "../../server/web/static/js/playground/chat/tree.js";

const message = (id, parent, fields = {}) => ({ id, parent, role: "user", content: id, ...fields });
const grown = (...messages) => messages.reduce((tree, one) => add(tree, one), EMPTY);
const talk = grown(message("q", null), message("a", "q"), message("q2", "a"), message("a2", "q2"));

test("the newest branch is shown, and the one that was chosen thereafter", () => {
  const branched = add(talk, message("b", "q"));
  assert.deepEqual(path(branched), ["q", "b"]);
  assert.deepEqual(place(branched, "b"), { at: 2, of: 2, before: "a", after: null });
  const back = show(branched, "a");
  assert.deepEqual(path(back), ["q", "a", "q2", "a2"]);
  assert.deepEqual(place(back, "a"), { at: 1, of: 2, before: null, after: "b" });
});

test("a first message may be edited too", () => {
  const edited = add(talk, message("other", null));
  assert.deepEqual(path(edited), ["other"]);
  assert.deepEqual(path(show(edited, "q")), ["q", "a", "q2", "a2"]);
});

test("each column goes its own way, until one is kept", () => {
  const two = add(add(keep(talk, 0), message("left", "a2"), [0]), message("right", "a2"), [1]);
  assert.equal(leaf(two, 0), "left");
  assert.equal(leaf(two, 1), "right");
  const shared = path(two, 0).slice(0, 4);
  assert.deepEqual(path(two, 1).slice(0, 4), shared);
  assert.equal(leaf(keep(two, 1), 0), "right");
});

test("an answer that is shown nowhere does not push another aside", () => {
  const several = add(show(talk, "a2"), message("second choice", "q2"), []);
  assert.deepEqual(path(several), ["q", "a", "q2", "a2"]);
  assert.equal(place(several, "a2").of, 2);
});

test("a tree is never changed", () => {
  const frozen = structuredClone(talk);
  add(talk, message("x", "a"));
  change(talk, "a", { content: "else" });
  show(talk, "a", 1);
  assert.deepEqual(talk, frozen);
  assert.equal(change(talk, "a", { content: "else" }).messages.a.content, "else");
  assert.equal(change(talk, "gone", { content: "else" }), talk);
});

test("the messages up to one are those that it follows", () => {
  assert.deepEqual(
    upTo(talk, "q2").map((one) => one.id),
    ["q", "a", "q2"],
  );
  assert.deepEqual(upTo(talk, null), []);
});

test("two tabs' versions together have all messages, and the finished one of an answer", () => {
  const unfinished = change(talk, "a2", { content: "half", unfinished: true });
  const finished = change(add(talk, message("theirs", "a2")), "a2", { content: "whole" });
  const mine = add(unfinished, message("mine", "q2"));
  const both = merged(finished, mine);
  assert.equal(both.messages.a2.content, "whole");
  assert.deepEqual(new Set(Object.keys(both.messages)), new Set(["q", "a", "q2", "a2", "theirs", "mine"]));
  assert.equal(leaf(both), "mine");
  assert.equal(merged(unfinished, finished).messages.a2.content, "whole");
});

test("a chosen branch that is not there is as good as none", () => {
  const torn = { ...talk, chosen: [{ q: "gone" }, {}] };
  assert.deepEqual(path(torn), ["q", "a", "q2", "a2"]);
  assert.deepEqual(path(EMPTY), []);
  assert.equal(leaf(EMPTY), null);
});

test("an answer that is written anew, or on, stands over what it was, in either tab", () => {
  const old = grown(message("q", null), message("a", "q", { at: 1, content: "old" }));
  const begun = change(old, "a", { at: 2, content: "", unfinished: true });
  const whole = change(old, "a", { at: 2, content: "new" });
  for (const [theirs, mine, stands] of [
    [old, begun, ""],
    [begun, old, ""],
    [whole, old, "new"],
    [old, whole, "new"],
    [whole, begun, "new"],
  ])
    assert.equal(merged(theirs, mine).messages.a.content, stands);
});
