/** Chats as files: what was exported is read again, and what is broken or hostile is explained or left out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SETTINGS } from "../../server/web/static/js/playground/chat/request.js";
import { exported, imported } from "../../server/web/static/js/playground/chat/transfer.js";

let next = 0;
const newId = () => `n${next++}`;
const usage = {
  prompt_tokens: 3,
  completion_tokens: 4,
  credits: 0.5,
  quality: {
    mode: "ultra",
    passes: 2,
    candidates: 5,
    notes: ["2 of 5 drafts agree"],
    tokens_by_pass: [{ pass: "drafts", prompt_tokens: 3, completion_tokens: 4 }],
    drafts: [{ pass: "drafts", text: "Lyon", chosen: true, votes: 2 }],
  },
};
const question = { id: "q", parent: null, role: "user", content: "Hi", at: 1, images: ["data:image/png;base64,AAAA"] };
const answer = {
  id: "a",
  parent: "q",
  role: "assistant",
  content: "Four",
  at: 2,
  model: "m",
  quality: "ultra",
  reasoning: "Hm",
  calls: [{ id: "c", name: "f", arguments: "{}" }],
  tokens: [{ token: "Four", logprob: -1, top_logprobs: [] }],
  usage,
  times: { toFirst: 0.1, total: 1, rate: null },
  cost: { amount: "0.5", paid: true },
};
const chat = {
  id: "old",
  title: "A <b>chat</b>",
  named: true,
  created: 1,
  changed: 2,
  settings: { ...SETTINGS, system: "Be brief." },
  tree: { messages: { q: question, a: answer }, chosen: [{ q: "a" }, {}] },
};
const broken = (fields) => exported([{ ...chat, tree: { ...chat.tree, messages: fields } }]);
const refuses = (text, problem) => assert.throws(() => imported(text, newId), { message: problem });

test("what was exported is the same when it is imported, under a new id", () => {
  const [read] = imported(exported([chat]), newId);
  assert.match(read.id, /^n\d+$/);
  assert.deepEqual(read.tree, chat.tree);
  assert.deepEqual(read.settings, chat.settings);
  assert.deepEqual([read.title, read.named, read.created], [chat.title, true, 1]);
});

test("a file that can't be read is explained, and nothing of it is taken", () => {
  refuses("{", "This is no JSON file, or it is cut off.");
  refuses("[]", "This file holds no chats that were exported here.");
  refuses("null", "This file holds no chats that were exported here.");
  refuses('{"sagehold": "chats", "version": 2}', "The file has version 2; this page reads version 1.");
  refuses(exported([]), "There is no chat in the file.");
  refuses(exported([{}]), "Chat 1 can't be read: It has no messages. Nothing was imported.");
  refuses(exported([chat, null]), "Chat 2 can't be read: It has no messages. Nothing was imported.");
  refuses(broken({ q: { role: "system" } }), /no role that is known/);
  refuses(broken({ q: { ...question, content: 3 } }), /has no text/);
  refuses(broken({ a: answer, q: question }), /follows one that is not before it/);
  refuses(broken({ q: { ...question, parent: "q" } }), /follows one that is not before it/);
  refuses(broken({ 1: question }), /can't have the id 1/);
  // The name of what is above the first messages: such a message would be its own parent.
  refuses(broken({ root: { ...question, id: "root" } }), /can't have the id root/);
  refuses(broken({ q: { ...question, images: ["http://evil.example/x.png"] } }), /A picture in it is none/);
  refuses(broken({ q: { ...question, images: ["data:image/svg+xml;base64,AAAA"] } }), /A picture in it is none/);
  refuses(broken({ q: question, a: { ...answer, calls: [{ id: 1 }] } }), /A call of a tool is incomplete/);
  refuses(
    '{"sagehold": "chats", "version": 1, "chats": [{"tree": {"messages": {"__proto__": {"role": "user"}}}}]}',
    /can't have the id __proto__/,
  );
});

test("what a page does not know is left out, and figures that are none", () => {
  const strange = {
    ...answer,
    onclick: "alert(1)",
    dangerouslySetInnerHTML: { __html: "x" },
    usage: { prompt_tokens: 1, quality: { mode: "x", tokens_by_pass: "none" } },
    times: { total: "long" },
    cost: { amount: "much" },
    tokens: [{ token: 5 }],
    reasoning: ["x"],
    unfinished: true,
  };
  const settings = { tools: [{ name: 3 }, null], form: { kind: [] }, parameters: [], system: 5, key: "sk-sage-x" };
  const [read] = imported(exported([{ ...chat, settings, tree: { messages: { q: question, a: strange } } }]), newId);
  const { a } = read.tree.messages;
  assert.deepEqual(Object.keys(a).sort(), [
    "at",
    "calls",
    "content",
    "id",
    "model",
    "parent",
    "quality",
    "role",
    "stopped",
    "usage",
  ]);
  assert.deepEqual(a.usage, { prompt_tokens: 1, completion_tokens: 0 });
  assert.deepEqual(read.settings, SETTINGS);
  assert.deepEqual(read.tree.chosen, [{}, {}]);
});

test("tokens have nothing in them that the page can't show", () => {
  const tokens = [
    { token: "a", logprob: -1, bytes: [97], top_logprobs: "none" },
    { token: "b", logprob: -1, top_logprobs: [null, { token: 5, logprob: -1 }, { token: "c", logprob: "x" }] },
    { token: "d", logprob: -1, top_logprobs: [{ token: "e", logprob: -2, bytes: {} }] },
  ];
  const messages = { q: question, a: { ...answer, tokens, parent: ["q"] } };
  const [read] = imported(exported([{ ...chat, tree: { ...chat.tree, messages } }]), newId);
  assert.equal(read.tree.messages.a.parent, null);
  assert.deepEqual(read.tree.messages.a.tokens, [
    { token: "a", logprob: -1, top_logprobs: [] },
    { token: "b", logprob: -1, top_logprobs: [] },
    { token: "d", logprob: -1, top_logprobs: [{ token: "e", logprob: -2 }] },
  ]);
});
