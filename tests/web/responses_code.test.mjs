/** A chat's request as a response's: the same messages, tools, form and sampling, and what is said of the rest. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { asNode, asPython } from "../../server/web/static/js/code/code.js";
import { asResponse, remarksOn } from "../../server/web/static/js/code/responses.js";
import { requestOf, SETTINGS, TOOL } from "../../server/web/static/js/playground/chat/request.js";

const asked = (fields = {}, messages = [{ role: "user", content: "Hi" }]) =>
  asResponse(requestOf({ ...SETTINGS, model: "m", ...fields }, messages));
const body = (fields, messages) => asked(fields, messages).request.json;

test("a question is a text, and a system prompt are instructions", () => {
  assert.deepEqual(asked().request, {
    path: "/v1/responses",
    json: { model: "m", input: "Hi", stream: true },
    stream: true,
  });
  assert.deepEqual(body({ system: "Be brief.", stream: false }), {
    model: "m",
    instructions: "Be brief.",
    input: "Hi",
  });
  assert.deepEqual(remarksOn(asked()), []);
});

test("a conversation becomes items, with its pictures, calls and results", () => {
  const messages = [
    { role: "user", content: "See", images: ["data:image/png;base64,AA=="] },
    { role: "assistant", content: "Wait.", calls: [{ id: "call_1", name: "weather", arguments: '{"city":"Paris"}' }] },
    { role: "tool", content: "sunny", callId: "call_1", name: "weather" },
    { role: "assistant", content: "It is sunny." },
    { role: "user", content: "Thanks" },
  ];
  assert.deepEqual(body({ system: "S" }, messages).instructions, "S");
  assert.deepEqual(body({}, messages).input, [
    {
      role: "user",
      content: [
        { type: "input_text", text: "See" },
        { type: "input_image", image_url: "data:image/png;base64,AA==", detail: "auto" },
      ],
    },
    { role: "assistant", content: "Wait." },
    { type: "function_call", call_id: "call_1", name: "weather", arguments: '{"city":"Paris"}' },
    { type: "function_call_output", call_id: "call_1", output: "sunny" },
    { role: "assistant", content: "It is sunny." },
    { role: "user", content: "Thanks" },
  ]);
});

test("a call without words is a call alone; a system prompt alone is the input", () => {
  const call = {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "c", function: { name: "f", arguments: "{}" } }],
  };
  const of = (messages) => asResponse({ json: { model: "m", messages } }).request.json;
  assert.deepEqual(of([{ role: "user", content: "a" }, call]).input.slice(1), [
    { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
  ]);
  assert.deepEqual(of([{ role: "system", content: "S" }]), { model: "m", input: [{ role: "system", content: "S" }] });
  assert.deepEqual(of([{ role: "user", content: [{ type: "text", text: "a" }] }]).input, [
    { role: "user", content: [{ type: "input_text", text: "a" }] },
  ]);
  assert.deepEqual(
    of([
      { role: "user", content: "a" },
      { role: "assistant", content: [{ type: "text", text: "b" }] },
    ]).input[1],
    {
      role: "assistant",
      content: [{ type: "output_text", text: "b", annotations: [] }],
    },
  );
});

test("tools lie flat, and are lenient where a chat's are", () => {
  const tools = [
    { ...TOOL, name: "weather", description: "Tells it.", strict: true },
    { ...TOOL, name: "now", parameters: "" },
  ];
  const found = body({ tools, toolChoice: "function:weather", parallel: false });
  assert.deepEqual(found.tools, [
    {
      type: "function",
      name: "weather",
      description: "Tells it.",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      strict: true,
    },
    { type: "function", name: "now", parameters: { type: "object", properties: {} }, strict: false },
  ]);
  assert.deepEqual(found.tool_choice, { type: "function", name: "weather" });
  assert.equal(found.parallel_tool_calls, false);
  assert.equal(body({ tools, toolChoice: "required" }).tool_choice, "required");
});

test("the form of the answer is text.format", () => {
  const form = (fields) => body({ form: { ...SETTINGS.form, ...fields } }).text;
  assert.equal(form({}), undefined);
  assert.deepEqual(form({ kind: "json_object" }), { format: { type: "json_object" } });
  assert.deepEqual(form({ kind: "json_schema", schema: '{"type": "object"}' }), {
    format: { type: "json_schema", name: "answer", schema: { type: "object" }, strict: true },
  });
});

test("sampling and quality: what moves, what stays, what is told", () => {
  const found = asked({
    quality: "high",
    parameters: {
      temperature: 0.5,
      top_p: 0.9,
      max_completion_tokens: 50,
      reasoning_effort: "low",
      seed: 7,
      stop: "END",
      n: 2,
      frequency_penalty: 0.5,
      logprobs: true,
      top_logprobs: 3,
      prompt_logprobs: 1,
      include_reasoning: false,
      extra: '{"metadata": {"a": "b"}, "verbosity": "low"}',
    },
  });
  assert.deepEqual(found.request.json, {
    model: "m",
    input: "Hi",
    stream: true,
    temperature: 0.5,
    top_p: 0.9,
    max_output_tokens: 50,
    reasoning: { effort: "low" },
    seed: 7,
    stop: ["END"],
    frequency_penalty: 0.5,
    include: ["message.output_text.logprobs"],
    top_logprobs: 3,
    metadata: { a: "b" },
    text: { verbosity: "low" },
    quality: "high",
    return_drafts: true,
  });
  assert.deepEqual(found.lacking.toSorted(), ["include_reasoning", "n", "prompt_logprobs"]);
  assert.deepEqual(found.added.toSorted(), ["frequency_penalty", "quality", "return_drafts", "seed", "stop"]);
  assert.match(remarksOn(found)[0], /^Left out, since a response has no such field: .*\bn\b/);
  assert.match(remarksOn(found)[1], /^This server takes .*seed.* too/);
});

test("whatever somebody adds by hand breaks nothing", () => {
  for (const value of [
    null,
    3,
    "x",
    [],
    [null, [1], "x"],
    {},
    { function: 1 },
    [{ type: "function" }],
    [{ role: "tool" }],
  ]) {
    for (const name of ["messages", "tools", "tool_choice", "response_format", "logprobs", "metadata", "unheard_of"]) {
      const { request } = asResponse({
        json: { model: "m", messages: [{ role: "user", content: "Hi" }], [name]: value },
      });
      assert.ok(asPython(request).includes("client.responses.create("));
      assert.ok(asNode(request).includes("client.responses.create("));
    }
  }
});
