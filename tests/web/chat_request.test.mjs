/** What the Chat tab sends: every parameter, tools, the form of the answer, and each kind of message. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyOf, fieldOf, PARAMETERS, problemsOf } from "../../server/web/static/js/playground/chat/parameters.js";
import {
  formProblem,
  messageOf,
  openCalls,
  problemsOfAll,
  requestOf,
  SETTINGS,
  setIn,
  TOOL,
  toolProblems,
} from "../../server/web/static/js/playground/chat/request.js";

const parameter = (name) => PARAMETERS.find((one) => one.name === name);
const settings = (fields) => ({ ...SETTINGS, model: "m", otherModel: "other", ...fields });
const asked = [{ role: "user", content: "Hi" }];

test("nothing is sent that was not set", () => {
  const { json, path, stream } = requestOf(settings({}), asked);
  assert.equal(path, "/v1/chat/completions");
  assert.equal(stream, true);
  assert.deepEqual(json, {
    model: "m",
    messages: [{ role: "user", content: "Hi" }],
    stream: true,
    stream_options: { include_usage: true, continuous_usage_stats: true },
  });
  assert.deepEqual(bodyOf(Object.fromEntries(PARAMETERS.map(({ name }) => [name, ""]))), {});
});

test("each parameter becomes its field of the API", () => {
  const set = {
    temperature: 0,
    max_completion_tokens: 5,
    reasoning_effort: "low",
    top_k: -1,
    seed: -3,
    stop: "\\n\nEND\n",
    stop_token_ids: "1, 22 333",
    ignore_eos: true,
    logprobs: true,
    top_logprobs: 3,
    logit_bias: '{"42": -100}',
    skip_special_tokens: false,
    documents: '[{"title": "t", "text": "x"}]',
    cache_salt: "s",
    extra: '{"guided_regex": "a+"}',
  };
  assert.deepEqual(problemsOf(set), {});
  assert.deepEqual(bodyOf(set), {
    temperature: 0,
    max_completion_tokens: 5,
    reasoning_effort: "low",
    top_k: -1,
    seed: -3,
    stop: ["\n", "END"],
    stop_token_ids: [1, 22, 333],
    ignore_eos: true,
    logprobs: true,
    top_logprobs: 3,
    logit_bias: { 42: -100 },
    skip_special_tokens: false,
    documents: [{ title: "t", text: "x" }],
    cache_salt: "s",
    guided_regex: "a+",
  });
});

test("a switch that stands where the API has it is not sent; alternatives go with log-probabilities only", () => {
  assert.deepEqual(bodyOf({ skip_special_tokens: true, ignore_eos: false, logprobs: false, top_logprobs: 2 }), {});
});

for (const [name, value, problem] of [
  ["temperature", 2.1, "2 is the most."],
  ["top_p", -0.1, "0 is the least."],
  ["seed", 1.5, "It takes whole numbers."],
  ["seed", Number.NaN, "This is no number."],
  ["stop", "a\nb\nc\nd\ne", "4 lines at most."],
  ["stop_token_ids", "1, two", "Write whole numbers with commas between them: 13, 198."],
  ["logit_bias", "[1]", 'It must be an object: {"name": …}.'],
  ["documents", "{}", "It must be a list: […]."],
]) {
  test(`${name} can't be ${value}`, () => {
    assert.throws(() => fieldOf(parameter(name), value), { message: problem });
    assert.deepEqual(problemsOf({ [name]: value }), { [name]: problem });
    assert.deepEqual(bodyOf({ [name]: value }), {});
    assert.deepEqual(problemsOfAll(settings({ parameters: { [name]: value } })), [
      `${parameter(name).label}: ${problem}`,
    ]);
    assert.equal(setIn(parameter(name).group, { [name]: value }), 1);
  });
}

test("broken JSON is told where it breaks", () => {
  assert.match(problemsOf({ logit_bias: "{" }).logit_bias, /^This is no JSON: /);
});

test("modes that make drafts bring them; the right column has its own model and mode", () => {
  const two = settings({ quality: "low", otherQuality: "ultra" });
  assert.equal(requestOf(two, asked).json.quality, "low");
  assert.ok(!("return_drafts" in requestOf(two, asked).json));
  const right = requestOf(two, asked, 1).json;
  assert.deepEqual([right.model, right.quality, right.return_drafts], ["other", "ultra", true]);
});

test("a system prompt comes first, and one of blanks is none", () => {
  assert.deepEqual(requestOf(settings({ system: "Be brief." }), asked).json.messages[0], {
    role: "system",
    content: "Be brief.",
  });
  assert.equal(requestOf(settings({ system: " \n" }), asked).json.messages.length, 1);
});

test("a tool is sent with its schema, and what is called when", () => {
  const weather = { ...TOOL, name: "weather", description: "Tells it.", strict: true };
  const { json } = requestOf(settings({ tools: [weather], toolChoice: "function:weather", parallel: false }), asked);
  assert.deepEqual(json.tools, [
    {
      type: "function",
      function: {
        name: "weather",
        description: "Tells it.",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
        strict: true,
      },
    },
  ]);
  assert.deepEqual(json.tool_choice, { type: "function", function: { name: "weather" } });
  assert.equal(json.parallel_tool_calls, false);
  assert.equal(requestOf(settings({ tools: [weather], toolChoice: "required" }), asked).json.tool_choice, "required");
  // The tool that had to be called was removed or renamed.
  assert.ok(!("tool_choice" in requestOf(settings({ tools: [weather], toolChoice: "function:gone" }), asked).json));
});

test("what is wrong with a tool is told, and keeps it from being sent", () => {
  assert.match(toolProblems({ ...TOOL, name: "a b" }).name, /^Letters/);
  assert.equal(toolProblems({ ...TOOL, name: "a" }, ["a"]).name, "Another tool has this name.");
  assert.match(toolProblems({ ...TOOL, name: "a", parameters: "{" }).parameters, /^This is no JSON/);
  assert.deepEqual(toolProblems({ ...TOOL, name: "a", parameters: "" }), {});
  const wrong = settings({ tools: [{ ...TOOL, name: "a", parameters: "[]" }] });
  assert.deepEqual(problemsOfAll(wrong), ['Tool a: It must be an object: {"name": …}.']);
  assert.ok(!("tools" in requestOf(wrong, asked).json));
});

test("the form of the answer", () => {
  const form = (fields) => requestOf(settings({ form: { ...SETTINGS.form, ...fields } }), asked).json.response_format;
  assert.equal(form({}), undefined);
  assert.deepEqual(form({ kind: "json_object" }), { type: "json_object" });
  assert.deepEqual(form({ kind: "json_schema", schema: '{"type": "object"}' }), {
    type: "json_schema",
    json_schema: { name: "answer", schema: { type: "object" }, strict: true },
  });
  assert.match(formProblem({ kind: "json_schema", schema: " " }), /^Write the JSON Schema/);
  assert.match(formProblem({ kind: "json_schema", schema: "{" }), /^This is no JSON/);
});

test("each message as the API takes it", () => {
  const picture = "data:image/png;base64,AA==";
  assert.deepEqual(messageOf({ role: "user", content: "See", images: [picture] }), {
    role: "user",
    content: [
      { type: "text", text: "See" },
      { type: "image_url", image_url: { url: picture } },
    ],
  });
  assert.equal(messageOf({ role: "user", content: "", images: [picture] }).content.length, 1);
  const call = { id: "c", name: "weather", arguments: "{}" };
  assert.deepEqual(messageOf({ role: "assistant", content: "", calls: [call], reasoning: "Hm." }), {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "c", type: "function", function: { name: "weather", arguments: "{}" } }],
  });
  assert.deepEqual(messageOf({ role: "tool", content: "sun", callId: "c", name: "weather" }), {
    role: "tool",
    tool_call_id: "c",
    content: "sun",
  });
});

test("calls are open until each has its result", () => {
  const answer = { role: "assistant", content: "", calls: [{ id: "1" }, { id: "2" }] };
  const result = (callId) => ({ role: "tool", content: "x", callId });
  assert.deepEqual(
    openCalls([...asked, answer]).map((one) => one.id),
    ["1", "2"],
  );
  assert.deepEqual(
    openCalls([...asked, answer, result("1")]).map((one) => one.id),
    ["2"],
  );
  assert.deepEqual(openCalls([...asked, answer, result("1"), result("2")]), []);
  assert.deepEqual(openCalls(asked), []);
});
