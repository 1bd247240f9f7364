/** What becomes of a chat when it is answered, asked again and edited; the server is a function here. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

// What a browser has and Node.js lacks, or what would keep it from ending.
globalThis.addEventListener = () => {};
globalThis.requestAnimationFrame = () => 1;
globalThis.cancelAnimationFrame = () => {};
delete globalThis.BroadcastChannel;
const JS = "../../server/web/static/js";
const { askAgain, edit, giveResults, isWriting, say } = await import(`${JS}/playground/chat/answering.js`);
const { chat, startNew } = await import(`${JS}/playground/chat/state.js`);
const { openCalls } = await import(`${JS}/playground/chat/request.js`);
const { path } = await import(`${JS}/playground/chat/tree.js`);
const { models } = await import(`${JS}/models.js`);

let asked;
let answers;

beforeEach(() => {
  asked = [];
  answers = [];
  models.value = [{ id: "m", state: "ready", capabilities: ["chat"] }];
  startNew();
  globalThis.fetch = async (_, { body, signal }) => {
    asked.push(JSON.parse(body));
    return answers.shift()(signal);
  };
});

const chunk = (delta, finish, index = 0) => ({
  choices: [{ index, delta, ...(finish ? { finish_reason: finish } : {}) }],
});
const events = (...data) => {
  const frames = data.map((one) => `data: ${JSON.stringify(one)}\n\n`).join("");
  return () => new Response(`${frames}data: [DONE]\n\n`);
};
const written = async () => {
  while (isWriting(chat.value.id)) await new Promise((resolve) => setTimeout(resolve));
};
const shown = () => path(chat.value.tree).map((id) => chat.value.tree.messages[id]);

test("asking again over an answer that failed leaves nothing of the failed one", async () => {
  const call = { index: 0, id: "c", function: { name: "f", arguments: "{" } };
  answers.push(events(chunk({ reasoning: "Hm" }), chunk({ tool_calls: [call] }), { error: { message: "It died." } }));
  say("Why?");
  await written();
  const [, failed] = shown();
  assert.deepEqual([failed.error.message, failed.reasoning, failed.calls.length], ["It died.", "Hm", 1]);
  answers.push(events(chunk({ content: "So." }, "stop")));
  askAgain(failed, 0);
  await written();
  const [, again] = shown();
  assert.deepEqual([again.id, again.content, again.finish], [failed.id, "So.", "stop"]);
  assert.deepEqual([again.error, again.reasoning, again.calls], [undefined, undefined, undefined]);
  assert.deepEqual(openCalls(shown()), []);
});

test("the result of one of two calls is edited, and the other one goes along", async () => {
  const call = (index) => ({ index, id: `c${index}`, function: { name: `f${index}`, arguments: "{}" } });
  answers.push(events(chunk({ tool_calls: [call(0), call(1)] }, "tool_calls")));
  say("Which?");
  await written();
  answers.push(events(chunk({ content: "Both." }, "stop")));
  const [, called] = shown();
  giveResults(
    called,
    called.calls.map((one) => [one, `of ${one.id}`]),
    0,
  );
  await written();
  answers.push(events(chunk({ content: "Both again." }, "stop")));
  edit(shown()[2], "another", 0);
  await written();
  const results = asked.at(-1).messages.filter(({ role }) => role === "tool");
  assert.deepEqual(results, [
    { role: "tool", tool_call_id: "c0", content: "another" },
    { role: "tool", tool_call_id: "c1", content: "of c1" },
  ]);
  assert.deepEqual(
    shown().map(({ content }) => content),
    ["Which?", "", "another", "of c1", "Both again."],
  );
});
