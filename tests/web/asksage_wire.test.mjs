/** The Ask Sage API as the pages speak it: its stream, its refusals with HTTP status 200, and a conversation over it. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { ApiError, wire } from "../../server/web/static/js/http.js";
import { again, clear, put, stop, suggest } from "../../server/web/static/js/playground/asksage/conversation.js";
import { PieceParser } from "../../server/web/static/js/playground/asksage/pieces.js";
import { change, turns } from "../../server/web/static/js/playground/asksage/state.js";
import { ask, said } from "../../server/web/static/js/playground/asksage/wire.js";

const SEPARATOR = "@|@sep@|@";
const WHOLE = { type: "completion", status: 200, response: "OK", message: "At nine [1].", citations: [], usage: null };

let asked;
let answer;
let refused;

beforeEach(() => {
  asked = [];
  refused = [];
  globalThis.fetch = async (url, options) => {
    asked.push({ url, body: JSON.parse(options.body) });
    return answer(options);
  };
  wire.key = () => "sk-sage-mine";
  wire.refused = (error, used) => refused.push([error.message, used]);
  wire.reached = () => {};
  clear();
});

const partial = (message) => ({ type: "partial", status: 200, response: "OK", message });
const json = (body, headers = {}) =>
  new Response(JSON.stringify(body), { headers: { "content-type": "application/json", ...headers } });
function streamed(pieces, headers = {}) {
  const text = pieces.map((piece) => (typeof piece === "string" ? piece : JSON.stringify(piece) + SEPARATOR)).join("");
  return new Response(text, { headers: { "content-type": "text/plain; charset=utf-8", ...headers } });
}
const failing = (promise) =>
  promise.then(
    () => assert.fail("it succeeded"),
    (error) => error,
  );

test("a stream is the same however it is cut", () => {
  const text = `\n\n${JSON.stringify(partial("a\nü"))}${SEPARATOR}\n${JSON.stringify(WHOLE)}${SEPARATOR}`;
  for (let size = 1; size < text.length; size += 1) {
    const parser = new PieceParser();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(found, [partial("a\nü"), WHOLE]);
    assert.equal(parser.open, false);
  }
});

test("a separator in an answer comes escaped, and is read as it was", () => {
  const parser = new PieceParser();
  const [found] = parser.push(`{"message":"a @|@@sep@@|@ b"}${SEPARATOR}{"mess`);
  assert.equal(found.message, "a @|@sep@|@ b");
  assert.equal(parser.open, true);
});

test("an answer grows, and its last piece is the whole of it", async () => {
  answer = () => streamed(["\n", partial("At"), "\n", partial("At nine"), WHOLE]);
  const heard = [];
  assert.deepEqual(await ask({ message: "When?" }, { onText: (text) => heard.push(text) }), WHOLE);
  assert.deepEqual(heard, ["At", "At nine"]);
  assert.equal(asked[0].url, "http://localhost/server/query_stream");
});

test("a refusal with HTTP status 200 is an error with all that is said of it", async () => {
  answer = () =>
    json(
      { response: "The dataset `x` does not exist.", status: 404, error: "dataset_not_found", param: "dataset" },
      { "x-request-id": "req_1", "retry-after": "7" },
    );
  for (const promise of [ask({ message: "x" }), said("/server/get-personas")]) {
    const error = await failing(promise);
    assert.ok(error instanceof ApiError);
    const { message, status, code, param, requestId, retryAfter } = error;
    assert.deepEqual(
      [message, status, code, param, requestId, retryAfter],
      ["The dataset `x` does not exist.", 404, "dataset_not_found", "dataset", "req_1", 7],
    );
  }
  assert.deepEqual(refused, []);
});

test("an error in the middle of a stream is one, and so is an answer of a model that is not served", async () => {
  answer = () => streamed([partial("At"), { response: "The engine failed.", status: 500, error: "engine_failed" }]);
  const broken = await failing(ask({ message: "x" }));
  assert.deepEqual([broken.message, broken.status, broken.code], ["The engine failed.", 500, "engine_failed"]);
  answer = () => streamed([{ ...WHOLE, type: "teach", message: "There is no model `x`.", error: "model_not_found" }]);
  const unserved = await failing(ask({ message: "x" }));
  assert.deepEqual([unserved.message, unserved.status], ["There is no model `x`.", 404]);
});

test("a stream that ends too early, or that is no JSON, broke off", async () => {
  for (const pieces of [[partial("At")], [partial("At"), '{"mess'], [`<html>${SEPARATOR}`], []]) {
    answer = () => streamed(pieces, { "x-request-id": "req_2" });
    const error = await failing(ask({ message: "x" }));
    assert.deepEqual([error.message, error.requestId], ["The answer broke off.", "req_2"]);
  }
});

test("a key that is not taken any more is told to the session, by the status in the body too", async () => {
  answer = () => json({ response: "Token is invalid [2]", status: 400, error: "invalid_api_key" });
  await failing(ask({ message: "x" }));
  await failing(said("/server/get-personas"));
  assert.deepEqual(refused, [
    ["Token is invalid [2]", "sk-sage-mine"],
    ["Token is invalid [2]", "sk-sage-mine"],
  ]);
});

// ------------------------------------------------------------ a conversation

test("a question follows those that were answered, and no others", async () => {
  answer = () => streamed([partial("At"), WHOLE]);
  await put("When does work begin?", "chat");
  answer = () => json({ response: "No.", status: 503, error: "x" });
  await put("And when does it end?", "chat");
  answer = () => streamed([WHOLE]);
  await put("On Fridays?", "chat");
  assert.equal(asked[0].body.message, "When does work begin?");
  assert.deepEqual(asked[2].body.message, [
    { user: "me", message: "When does work begin?" },
    { user: "gpt", message: "At nine [1]." },
    { user: "me", message: "On Fridays?" },
  ]);
  assert.deepEqual(
    turns.value.map(({ state, text }) => [state, text]),
    [
      ["done", "At nine [1]."],
      ["failed", ""],
      ["done", "At nine [1]."],
    ],
  );
  assert.equal(turns.value[1].error.message, "No.");
  assert.ok(turns.value[0].first >= 0 && turns.value[0].seconds >= turns.value[0].first);
});

test("one that failed is asked again as it was, though the settings have changed", async () => {
  answer = () => json({ response: "No.", status: 503, error: "x" });
  change({ references: 3 });
  await put("When?", "chat");
  change({ references: 9 });
  answer = () => streamed([WHOLE]);
  await again(turns.value[0]);
  assert.deepEqual(asked[1].body, asked[0].body);
  assert.equal(asked[1].body.limit_references, 3);
  assert.equal(turns.value[0].state, "done");
  assert.equal(turns.value[0].error, null);
});

test("what was said until a stop stays", async () => {
  answer = ({ signal }) =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(JSON.stringify(partial("At")) + SEPARATOR));
          signal.addEventListener("abort", () => controller.error(signal.reason));
        },
      }),
      { headers: { "content-type": "text/plain" } },
    );
  const ended = put("When?", "chat");
  while (turns.value[0].text !== "At") await new Promise((resolve) => setImmediate(resolve));
  stop();
  await ended;
  assert.deepEqual([turns.value[0].state, turns.value[0].text], ["stopped", "At"]);
});

test("what may be asked next is a list, or why there is none", async () => {
  answer = () => streamed([WHOLE]);
  await put("When?", "chat");
  answer = () => json({ ...WHOLE, message: "1. Who?\n2. Where?\n\n2. Where?" });
  await suggest(turns.value[0]);
  assert.deepEqual(turns.value[0].suggestions, ["Who?", "Where?"]);
  assert.equal(asked[1].url, "http://localhost/server/follow-up-questions");
  answer = () => json({ response: "No.", status: 503, error: "x" });
  await suggest(turns.value[0]);
  assert.equal(turns.value[0].suggestions.error.message, "No.");
});
