/** The requests of the tabs Transcription and Speech, and their code. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { asCurl, asNode, asPython } from "../../server/web/static/js/code/code.js";
import { requestOf as speech, streamedBody } from "../../server/web/static/js/playground/speech/request.js";
import {
  bodyOf,
  LANGUAGES,
  languageOptions,
  requestOf,
  verboseOf,
} from "../../server/web/static/js/playground/transcription/request.js";

const PLAIN = { language: "", prompt: " ", temperature: null, quality: "auto", translate: false };
const FULL = { language: "de", prompt: "Namen", temperature: 0, quality: "high", translate: false };

test("what is not set is not sent", () => {
  const { form } = requestOf(PLAIN, "whisper-1", "fox.mp3");
  assert.deepEqual(
    form.map(([name]) => name),
    ["file", "model", "response_format", "timestamp_granularities[]", "timestamp_granularities[]", "stream"],
  );
});

test("what is set is sent, a temperature of 0 too", () => {
  const body = bodyOf(requestOf(FULL, "whisper-1", "fox.mp3"), new File(["sound"], "other"));
  assert.deepEqual(
    ["language", "prompt", "temperature", "quality", "stream"].map((name) => body.get(name)),
    ["de", "Namen", "0", "high", "true"],
  );
  assert.equal(body.get("file").name, "fox.mp3");
  assert.deepEqual(body.getAll("timestamp_granularities[]"), ["word", "segment"]);
});

test("a translation is no stream", () => {
  const request = requestOf({ ...FULL, translate: true }, "whisper-1", "fox.mp3");
  assert.equal(request.path, "/v1/audio/translations");
  assert.ok(!request.stream && !request.form.some(([name]) => name === "stream"));
  assert.match(asPython(request), /client\.audio\.translations\.create\(\n[\s\S]*extra_body=\{/);
});

test("the code of a transcript reads the stream", () => {
  const request = requestOf(FULL, "whisper-1", "fox.mp3");
  assert.match(
    asPython(request),
    /stream=True,[\s\S]*for event in stream:\n {4}if event\.type == "transcript\.text\.delta":/,
  );
  assert.match(asPython(request), /timestamp_granularities=\[\n {8}"word",\n {8}"segment",\n {4}\]/);
  assert.match(asNode(request), /for await \(const event of stream\)/);
  assert.match(asCurl(request), /^curl -N [\s\S]*-F file=@fox\.mp3/);
});

test("a file's name is one word of the shell, and one name to curl", () => {
  const curl = (file) =>
    asCurl(requestOf(PLAIN, "m", file))
      .split(" \\\n")[2]
      .trim();
  assert.equal(curl("it's.mp3"), String.raw`-F 'file=@it'\''s.mp3'`);
  assert.equal(curl('a;type=x,"b\\.mp3'), String.raw`-F 'file=@"a;type=x,\"b\\.mp3"'`);
});

test("the last event of a stream is the form verbose_json", () => {
  const done = { type: "transcript.text.done", task: "transcribe", language: "english", duration: 2, text: "A b." };
  const rest = { words: [], segments: [], seconds: 2, credits: 0.02, quality: { mode: "low" } };
  assert.deepEqual(verboseOf({ ...done, ...rest }), {
    task: "transcribe",
    language: "english",
    duration: 2,
    text: "A b.",
    words: [],
    segments: [],
    usage: { type: "duration", seconds: 2, credits: 0.02, quality: { mode: "low" } },
  });
  assert.ok(!("credits" in verboseOf({ ...done, ...rest, credits: undefined }).usage));
});

test("every language has a name", () => {
  const options = languageOptions();
  assert.equal(options.length, LANGUAGES.length + 1);
  assert.deepEqual(options[0], ["", "Find out"]);
  assert.ok(options.every(([code, name]) => name && name !== code));
});

test("speech is asked for as it is set", () => {
  const plain = speech({ voice: "", format: "mp3", speed: null, quality: "auto" }, "tts-1", "Hello.");
  assert.deepEqual(plain.json, { model: "tts-1", input: "Hello.", response_format: "mp3" });
  assert.equal(plain.save, "speech.mp3");
  const full = speech({ voice: "joe", format: "pcm", speed: 1.5, quality: "high" }, "tts-1", "Hello.");
  assert.deepEqual(streamedBody(full), {
    model: "tts-1",
    input: "Hello.",
    response_format: "pcm",
    voice: "joe",
    speed: 1.5,
    quality: "high",
    stream_format: "sse",
  });
});
