// Responses, conversations, files and batches by the OpenAI SDK for Node.js: SAGEHOLD_URL and OPENAI_API_KEY say where.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI, { BadRequestError, NotFoundError, toFile } from "openai";

const client = new OpenAI({ baseURL: `${process.env.SAGEHOLD_URL}/v1`, maxRetries: 0 });
const model = "gpt-4o-mini";
const JAPAN = "What is the capital of Japan?";
const TOKYO = "The capital of Japan is Tokyo.";
const asked = { model, input: JAPAN, temperature: 0, max_output_tokens: 60 };

const parameters = {
  type: "object",
  properties: { country: { type: "string", maxLength: 30 } },
  required: ["country"],
  additionalProperties: false,
};
const forced = {
  tools: [{ type: "function", name: "get_capital", parameters, strict: true }],
  tool_choice: { type: "function", name: "get_capital" },
};

const all = async (pages) => {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
};

/** What `look` returns once it is true of it; fails after a minute. */
const until = async (look, done) => {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const found = await look();
    if (done(found)) return found;
    assert.ok(Date.now() < deadline, `not within a minute: ${JSON.stringify(found)}`);
    await sleep(100);
  }
};

test("a response names Tokyo, and its turns are kept", async () => {
  const first = await client.responses.create(asked);
  assert.equal(first.output_text, TOKYO);
  assert.equal(first.status, "completed");
  assert.equal(first.usage.output_tokens, 8);
  assert.match(first._request_id, /^req_/);
  const second = await client.responses.create({ ...asked, input: "And of Peru?", previous_response_id: first.id });
  assert.ok(second.usage.input_tokens > first.usage.input_tokens + 8);
  const again = await client.responses.retrieve(second.id);
  assert.equal(again.output_text, second.output_text);
  assert.ok((await all(client.responses.inputItems.list(second.id))).length > 0);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), NotFoundError);
  const counted = await client.responses.inputTokens.count({ model, input: JAPAN });
  assert.equal(counted.input_tokens, first.usage.input_tokens);
});

test("the stream helper says the same, in events without a gap", async () => {
  const stream = client.responses.stream(asked);
  const numbers = [];
  let text = "";
  for await (const event of stream) {
    numbers.push(event.sequence_number);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  const final = await stream.finalResponse();
  assert.equal(text, TOKYO);
  assert.equal(final.output_text, TOKYO);
  assert.deepEqual(
    numbers,
    numbers.map((_, place) => place),
  );
});

test("a call is made, streamed and answered", async () => {
  const first = await client.responses.create({ ...asked, ...forced });
  const [call] = first.output;
  assert.equal(call.type, "function_call");
  assert.deepEqual(Object.keys(JSON.parse(call.arguments)), ["country"]);
  const result = { type: "function_call_output", call_id: call.call_id, output: "Tokyo" };
  const answer = await client.responses.create({ ...asked, input: [result], previous_response_id: first.id });
  assert.match(answer.output_text, /Tokyo/);
  const streamed = await client.responses.stream({ ...asked, ...forced }).finalResponse();
  assert.equal(streamed.output[0].arguments, call.arguments);
});

test("a JSON schema is obeyed, and parsed", async () => {
  const schema = {
    type: "object",
    properties: { country: { enum: ["Japan", "Peru"] }, large: { type: "boolean" } },
    required: ["country", "large"],
    additionalProperties: false,
  };
  const answer = await client.responses.parse({
    ...asked,
    text: { format: { type: "json_schema", name: "place", schema, strict: true } },
  });
  const given = JSON.parse(answer.output_text);
  assert.ok(["Japan", "Peru"].includes(given.country));
  assert.equal(typeof given.large, "boolean");
});

test("a conversation holds its turns", async () => {
  const kept = await client.conversations.create({ metadata: { topic: "capitals" } });
  await client.responses.create({ ...asked, conversation: kept.id });
  const items = await all(client.conversations.items.list(kept.id, { order: "asc", limit: 1 }));
  assert.deepEqual(
    items.map((one) => one.role),
    ["user", "assistant"],
  );
  assert.equal((await client.conversations.delete(kept.id)).deleted, true);
  await assert.rejects(client.conversations.retrieve(kept.id), NotFoundError);
});

test("a stream from the background is taken up again, and other work is cancelled", async () => {
  const stream = await client.responses.create({ ...asked, background: true, stream: true });
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (events.length === 3) break;
  }
  const { id } = events[0].response;
  const rest = await client.responses.retrieve(id, { stream: true, starting_after: events.at(-1).sequence_number });
  for await (const event of rest) events.push(event);
  assert.deepEqual(
    events.map((one) => one.sequence_number),
    events.map((_, place) => place),
  );
  assert.equal(events.at(-1).type, "response.completed");
  const long = await client.responses.create({
    ...asked,
    background: true,
    max_output_tokens: 4000,
    ignore_eos: true,
  });
  assert.equal((await client.responses.cancel(long.id)).status, "cancelled");
});

test("a file is kept, listed, read and deleted", async () => {
  const kept = await client.files.create({
    file: await toFile(Buffer.from("some text"), "a.txt"),
    purpose: "user_data",
    expires_after: { anchor: "created_at", seconds: 3600 },
  });
  assert.equal(kept.expires_at, kept.created_at + 3600);
  assert.equal(await (await client.files.content(kept.id)).text(), "some text");
  assert.ok((await all(client.files.list({ purpose: "user_data" }))).some((one) => one.id === kept.id));
  assert.equal((await client.files.delete(kept.id)).deleted, true);
  await assert.rejects(client.files.retrieve(kept.id), NotFoundError);
});

test("a batch is answered", async () => {
  const endpoint = "/v1/chat/completions";
  const body = { model, messages: [{ role: "user", content: JAPAN }], temperature: 0, max_tokens: 20 };
  const line = JSON.stringify({ custom_id: "one", method: "POST", url: endpoint, body });
  const file = await client.files.create({
    file: await toFile(Buffer.from(`${line}\n`), "input.jsonl"),
    purpose: "batch",
  });
  const begun = await client.batches.create({ input_file_id: file.id, endpoint, completion_window: "24h" });
  const done = await until(
    () => client.batches.retrieve(begun.id),
    (one) => !["validating", "in_progress", "finalizing"].includes(one.status),
  );
  assert.equal(done.status, "completed");
  assert.deepEqual(done.request_counts, { total: 1, completed: 1, failed: 0 });
  const row = JSON.parse(await (await client.files.content(done.output_file_id)).text());
  assert.equal(row.custom_id, "one");
  assert.equal(row.response.body.choices[0].message.content, TOKYO);
  assert.ok((await all(client.batches.list())).some((one) => one.id === begun.id));
});

test("errors are the SDK's own, with code and parameter", async () => {
  await assert.rejects(client.responses.create({ ...asked, model: "no/such" }), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  await assert.rejects(client.responses.create({ ...asked, temperature: 5 }), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
});
