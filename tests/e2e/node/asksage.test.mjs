// How Continue and Cline ask Ask Sage, by fetch: SAGEHOLD_URL and OPENAI_API_KEY say where.
import assert from "node:assert/strict";
import { test } from "node:test";

const server = `${process.env.SAGEHOLD_URL}/server`;
const user = `${process.env.SAGEHOLD_URL}/user`;
const key = process.env.OPENAI_API_KEY;
const JAPAN = "What is the capital of Japan?";

async function post(url, body, token) {
  const headers = { accept: "application/json", "Content-Type": "application/json" };
  if (token) headers["x-access-tokens"] = token;
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(response.status, 200);
  return response.json();
}

test("Continue exchanges its key, then asks with the token", async () => {
  const exchanged = await post(`${user}/get-token-with-api-key`, { email: "me@example.org", api_key: key });
  assert.equal(Number(exchanged.status), 200);
  const token = exchanged.response.access_token;
  assert.ok(token && token !== key);
  const answer = await post(
    `${server}/query`,
    { message: JAPAN, model: "gpt-4o", temperature: 0, mode: "chat", limit_references: 0, persona: 1, dataset: "none" },
    token,
  );
  const text = answer.text || answer.answer || answer.message || answer.choices?.[0]?.message?.content;
  assert.match(text, /Tokyo/);
});

test("Cline sends a conversation with a system prompt, reads usage, then this month's tokens", async () => {
  const answer = await post(
    `${server}/query`,
    {
      system_prompt: "You are a helpful assistant.",
      message: [
        { user: "me", message: "Hello." },
        { user: "gpt", message: "Hello! How can I help you?" },
        { user: "me", message: JAPAN },
      ],
      model: "gpt-4o",
      dataset: "none",
      usage: true,
    },
    key,
  );
  assert.match(answer.message, /Tokyo/);
  assert.deepEqual(answer.tool_responses, []);
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage.model_tokens;
  assert.equal(prompt_tokens + completion_tokens, total_tokens);
  assert.ok(completion_tokens > 0);
  const spent = await post(`${server}/count-monthly-tokens`, { app_name: "asksage" }, key);
  assert.equal(typeof spent.response, "number");
  assert.ok(spent.response >= total_tokens);
});

test("a wrong token is told in the body", async () => {
  const refused = await post(`${server}/query`, { message: JAPAN }, "sk-sage-wrong");
  assert.equal(refused.status, 400);
  assert.match(refused.response, /^Token is invalid/);
});
