// The AI SDK (npm `ai`): text, stream, object, tool, embeddings, speech, transcription, pictures.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  embedMany,
  generateImage,
  generateObject,
  experimental_generateSpeech as generateSpeech,
  generateText,
  streamText,
  tool,
  experimental_transcribe as transcribe,
} from "ai";
import { z } from "zod";

const where = { baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY };
const openai = createOpenAI(where);
const compatible = createOpenAICompatible({ name: "sagehold", ...where, supportsStructuredOutputs: true });
const prompt = "What is the capital of Japan?";
const few = { temperature: 0, maxOutputTokens: 60, maxRetries: 0 };

for (const [name, model] of [
  ["openai.chat", openai.chat("gpt-4o-mini")],
  ["openai, by responses", openai("gpt-4o-mini")],
  ["openai-compatible", compatible("gpt-4o-mini")],
]) {
  test(`${name}: text and stream`, async () => {
    assert.match((await generateText({ model, prompt, ...few })).text, /Tokyo/);
    let streamed = "";
    for await (const piece of streamText({ model, prompt, ...few }).textStream) streamed += piece;
    assert.match(streamed, /Tokyo/);
  });
  test(`${name}: an object and a tool`, async () => {
    const schema = z.object({ city: z.string().max(20) });
    const { object } = await generateObject({ model, schema, prompt: "Tokyo is the capital of Japan.", ...few });
    assert.deepEqual(Object.keys(object), ["city"]);
    const weather = tool({ description: "Tell the weather in a city.", inputSchema: schema });
    const { toolCalls } = await generateText({
      model,
      tools: { weather },
      toolChoice: { type: "tool", toolName: "weather" },
      prompt: "How is the weather in Paris?",
      ...few,
    });
    assert.equal(toolCalls[0].toolName, "weather");
    assert.deepEqual(Object.keys(toolCalls[0].input), ["city"]);
  });
}

test("embeddings", async () => {
  const { embeddings } = await embedMany({
    model: openai.embedding("text-embedding-3-small"),
    values: ["one", "two"],
    maxRetries: 0,
  });
  assert.deepEqual(
    embeddings.map((vector) => vector.length),
    [384, 384],
  );
});

test("what is spoken is heard", async () => {
  const { audio } = await generateSpeech({ model: openai.speech("tts-1"), text: "Good morning.", voice: "alloy" });
  const { text } = await transcribe({ model: openai.transcription("whisper-1"), audio: audio.uint8Array });
  assert.match(text.toLowerCase(), /morning/);
});

test("a picture", async () => {
  const { image } = await generateImage({ model: openai.image("gpt-image-1"), prompt: "red heart", maxRetries: 0 });
  assert.deepEqual([...image.uint8Array.slice(0, 4)], [0x89, 0x50, 0x4e, 0x47]);
});
