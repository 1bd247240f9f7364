/** What becomes of an answer's chunks: the texts, the figures, and where growing Markdown is cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { blocksOf } from "../../server/web/static/js/playground/chat/blocks.js";
import { Answering } from "../../server/web/static/js/playground/chat/delta.js";
import { costOf, shadeOf, sumOf, timesOf } from "../../server/web/static/js/playground/chat/figures.js";

const chunk = (delta, fields = {}, index = 0) => ({ choices: [{ index, delta, ...fields }] });

test("pieces of text, reasoning and calls are put together", () => {
  let at = 0;
  const answering = new Answering(() => at);
  at = 100;
  assert.deepEqual(answering.add(chunk({ role: "assistant", content: "" })), [0]);
  assert.equal(answering.first, null, "a role alone is no first token");
  at = 200;
  answering.add(chunk({ reasoning: "Hm", reasoning_content: "Hm" }));
  answering.add(chunk({ reasoning_content: "." }));
  at = 300;
  answering.add(chunk({ content: "Four" }));
  answering.add(chunk({ tool_calls: [{ index: 1, id: "b", function: { name: "second", arguments: "" } }] }));
  answering.add(chunk({ tool_calls: [{ index: 0, id: "a", function: { name: "first", arguments: "{" } }] }));
  answering.add(chunk({ tool_calls: [{ index: 0, function: { arguments: "}" } }] }));
  at = 400;
  answering.add(chunk({}, { finish_reason: "tool_calls" }));
  answering.add({ choices: [], usage: { completion_tokens: 3 } });
  assert.deepEqual(answering.choices[0], {
    content: "Four",
    reasoning: "Hm.",
    calls: [
      { id: "a", name: "first", arguments: "{}" },
      { id: "b", name: "second", arguments: "" },
    ],
    tokens: null,
    tokenIds: null,
    finish: "tool_calls",
  });
  assert.deepEqual([answering.begun, answering.first, answering.last], [0, 200, 300]);
  assert.deepEqual(answering.usage, { completion_tokens: 3 });
});

test("several choices stay apart, with their tokens", () => {
  const answering = new Answering(() => 0);
  const token = (text) => ({ logprobs: { content: [{ token: text, logprob: -1 }] }, token_ids: [7] });
  answering.add(chunk({ content: "a" }, token("a"), 1));
  answering.add(chunk({ content: "b" }, token("b")));
  answering.add(chunk({ content: "c" }, token("c"), 1));
  assert.deepEqual(
    answering.choices.map((one) => one.content),
    ["b", "ac"],
  );
  assert.deepEqual(
    answering.choices[1].tokens.map((one) => one.token),
    ["a", "c"],
  );
  assert.deepEqual(answering.choices[1].tokenIds, [7, 7]);
});

test("a whole answer has the same form", () => {
  const answering = new Answering(() => 5);
  const calls = [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }];
  answering.take({
    usage: { completion_tokens: 1 },
    prompt_logprobs: [null],
    choices: [
      { index: 0, message: { content: null, reasoning: "Hm", tool_calls: calls }, finish_reason: "tool_calls" },
    ],
  });
  const [one] = answering.choices;
  assert.deepEqual(
    [one.content, one.reasoning, one.calls, one.finish],
    ["", "Hm", [{ id: "a", name: "f", arguments: "{}" }], "tool_calls"],
  );
  assert.deepEqual(answering.prompt, { ids: null, logprobs: [null] });
});

test("credits are what the server says, else tokens at their prices, to the last place", () => {
  const price = { prompt_token: "0.0000001", completion_token: "0.3" };
  assert.deepEqual(costOf({ prompt_tokens: 3, completion_tokens: 1, credits: 0.5 }, price), {
    amount: "0.5",
    paid: true,
  });
  assert.deepEqual(costOf({ prompt_tokens: 3, completion_tokens: 1 }, price), { amount: "0.3000003", paid: false });
  assert.equal(costOf(null, price), null);
  assert.equal(costOf({ prompt_tokens: 3, completion_tokens: 1 }, undefined), null);
  assert.equal(
    sumOf([
      ["0.1", 1],
      ["0.2", 1],
    ]),
    "0.3",
  );
  assert.equal(
    sumOf([
      ["12", 12],
      ["0.50", 2],
    ]),
    "145",
  );
  assert.equal(sumOf([["0.05", 1]]), "0.05");
  assert.equal(sumOf([["nonsense", 5]]), "0");
});

test("tokens a second are those of the writing, or of the whole time where several passes wrote", () => {
  const times = { begun: 0, first: 500, last: 1500, ended: 2000 };
  assert.deepEqual(timesOf(times, { completion_tokens: 11 }), { toFirst: 0.5, total: 2, rate: 10 });
  const ultra = { completion_tokens: 40, quality: { passes: 1, candidates: 5 } };
  assert.equal(timesOf(times, ultra).rate, 20);
  // All at once: they had waited somewhere on the way.
  assert.equal(timesOf({ ...times, last: 501 }, { completion_tokens: 11 }).rate, 5.5);
  assert.deepEqual(timesOf({ begun: 0, first: null, last: null, ended: 100 }, null), {
    toFirst: null,
    total: 0.1,
    rate: null,
  });
});

test("the less likely, the deeper the shade", () => {
  assert.deepEqual(
    [1, 0.9, 0.7, 0.4, 0.2, 0.05, 0].map((share) => shadeOf(Math.log(share))),
    [0, 0, 1, 2, 3, 4, 4],
  );
});

const WHOLE = [
  "# Title\n\nA paragraph\nof two lines.\n\n",
  "- one\n\n- two\n\n  still two\n\n",
  "Code:\n\n",
  "```python\nx = 1\n\n\ny = 2\n```\n\n",
  "| a | b |\n|---|---|\n| 1 | 2 |\n\n",
  "> quoted\n\n",
  "The end",
].join("");

test("growing Markdown is cut where a block ends, and its pieces are the text", () => {
  for (let length = 0; length <= WHOLE.length; length += 1) {
    assert.equal(blocksOf(WHOLE.slice(0, length)).join(""), WHOLE.slice(0, length));
  }
  const blocks = blocksOf(WHOLE);
  assert.ok(blocks.some((block) => block.startsWith("```python") && block.includes("y = 2\n```")));
  assert.ok(blocks.some((block) => block.includes("- one\n\n- two\n\n  still two")));
});

test("a piece that stands is not cut otherwise as the text grows", () => {
  let before = [""];
  for (let length = 1; length <= WHOLE.length; length += 1) {
    const now = blocksOf(WHOLE.slice(0, length));
    assert.deepEqual(now.slice(0, before.length - 1), before.slice(0, -1));
    before = now;
  }
});
