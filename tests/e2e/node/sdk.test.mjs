// The OpenAI SDK for Node.js, unmodified, against a live server: SAGEHOLD_URL and OPENAI_API_KEY say where.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError, toFile } from "openai";

const client = new OpenAI({ baseURL: `${process.env.SAGEHOLD_URL}/v1`, maxRetries: 0 });
const model = "gpt-4o-mini";
const messages = [{ role: "user", content: "What is the capital of Japan?" }];
const FOX = "The quick brown fox jumps over the lazy dog.";

const words = (text) =>
  text
    .toLowerCase()
    .replace(/[^a-z ]/g, "")
    .split(" ")
    .filter(Boolean);

test("models are listed, and retrieved by ids with slashes", async () => {
  const ids = [];
  for await (const one of client.models.list()) ids.push(one.id);
  assert.ok(ids.includes(model) && ids.includes("whisper-1") && ids.includes("tts-1"), ids);
  assert.equal((await client.models.retrieve("acme/chat")).id, "acme/chat");
});

test("chat names Tokyo", async () => {
  const answer = await client.chat.completions.create({ model, messages, temperature: 0 });
  assert.equal(answer.choices[0].message.content, "The capital of Japan is Tokyo.");
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.equal(answer.usage.completion_tokens, 8);
  assert.match(answer._request_id, /^req_/);
});

test("a stream says the same in pieces, and tells usage", async () => {
  const stream = await client.chat.completions.create({
    model,
    messages,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  });
  const pieces = [];
  let usage;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) pieces.push(chunk.choices[0].delta.content);
    usage = chunk.usage ?? usage;
  }
  assert.equal(pieces.join(""), "The capital of Japan is Tokyo.");
  // Tokens that are ready together come in one piece, as vLLM hands them over on a busy machine: how many is its own.
  assert.ok(pieces.length > 1);
  assert.equal(usage.completion_tokens, 8);
});

test("a stream that is aborted ends", async () => {
  const stream = await client.chat.completions.create({
    model,
    messages,
    stream: true,
    max_tokens: 2000,
    ignore_eos: true,
  });
  let seen = 0;
  for await (const _ of stream) {
    seen += 1;
    if (seen === 3) stream.controller.abort();
  }
  assert.ok(seen >= 3 && seen < 2000);
});

const parameters = {
  type: "object",
  properties: { country: { type: "string", maxLength: 30 }, sure: { type: "boolean" } },
  required: ["country", "sure"],
  additionalProperties: false,
};

test("a call forced by name obeys its schema, whole and streamed", async () => {
  const asked = {
    model,
    messages,
    tools: [{ type: "function", function: { name: "get_capital", parameters } }],
    tool_choice: { type: "function", function: { name: "get_capital" } },
  };
  const answers = [
    await client.chat.completions.create(asked),
    await client.chat.completions.stream(asked).finalChatCompletion(),
  ];
  for (const { choices } of answers) {
    assert.equal(choices[0].finish_reason, "tool_calls");
    const [call] = choices[0].message.tool_calls;
    assert.equal(call.function.name, "get_capital");
    const given = JSON.parse(call.function.arguments);
    assert.deepEqual(Object.keys(given).sort(), ["country", "sure"]);
    assert.equal(typeof given.country, "string");
    assert.equal(typeof given.sure, "boolean");
  }
});

test("a JSON schema is obeyed", async () => {
  const schema = {
    type: "object",
    properties: { days: { type: "integer", minimum: 1, maximum: 31 }, unit: { enum: ["day", "week"] } },
    required: ["days", "unit"],
    additionalProperties: false,
  };
  const answer = await client.chat.completions.create({
    model,
    messages,
    response_format: { type: "json_schema", json_schema: { name: "days", schema, strict: true } },
  });
  const given = JSON.parse(answer.choices[0].message.content);
  assert.ok(Number.isInteger(given.days) && given.days >= 1 && given.days <= 31, given);
  assert.ok(["day", "week"].includes(given.unit), given);
});

test("what is spoken is written down again", async () => {
  const speech = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: FOX });
  const audio = Buffer.from(await speech.arrayBuffer());
  const file = () => toFile(audio, "fox.mp3");
  const whole = await client.audio.transcriptions.create({ model: "whisper-1", file: await file() });
  assert.deepEqual(words(whole.text), words(FOX));
  const verbose = await client.audio.transcriptions.create({
    model: "whisper-1",
    file: await file(),
    response_format: "verbose_json",
    timestamp_granularities: ["word"],
  });
  assert.deepEqual(
    verbose.words.map((one) => words(one.word)[0]),
    words(FOX),
  );
  const stream = await client.audio.transcriptions.create({ model: "whisper-1", file: await file(), stream: true });
  let last;
  for await (const event of stream) last = event;
  assert.equal(last.type, "transcript.text.done");
  assert.deepEqual(words(last.text), words(FOX));
});

test("errors are the SDK's own, with code and parameter", async () => {
  await assert.rejects(client.chat.completions.create({ model: "no/such", messages }), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "model_not_found");
    assert.match(error.requestID, /^req_/);
    return true;
  });
  await assert.rejects(client.chat.completions.create({ model, messages, temperature: 5 }), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
  await assert.rejects(client.withOptions({ apiKey: "sk-sage-wrong" }).models.list(), (error) => {
    assert.ok(error instanceof AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
  await assert.rejects(client.embeddings.create({ model, input: "Hello" }), NotFoundError);
});
