/** Requests of the pages: what is sent, how the refusals of both dialects are read, and what is heard of a key or a silence. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { ApiError, get, post, query, send, stream, wire } from "../../server/web/static/js/http.js";

let asked;
let answer;
let heard;

beforeEach(() => {
  asked = [];
  heard = [];
  answer = () => Response.json({ object: "list" });
  globalThis.fetch = async (url, options) => {
    asked.push({ url, ...options });
    return answer();
  };
  wire.key = () => "sk-sage-mine";
  wire.refused = (error, used) => heard.push(["refused", error.status, used]);
  wire.reached = (answered) => heard.push(["reached", answered]);
});

const refusal = (body, status, headers = {}) => {
  answer = () => new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
};
const failing = async (promise) => {
  const error = await promise.then(
    () => assert.fail("it succeeded"),
    (raised) => raised,
  );
  assert.ok(error instanceof ApiError, String(error));
  return error;
};

test("the key goes in a header, and nowhere else", async () => {
  assert.deepEqual(await post("/v1/chat/completions", { model: "a" }), { object: "list" });
  const [{ url, method, headers, body, credentials, cache }] = asked;
  assert.equal(url, "http://localhost/v1/chat/completions");
  assert.deepEqual([method, body, credentials, cache], ["POST", '{"model":"a"}', "omit", "no-store"]);
  assert.deepEqual(headers, { Authorization: "Bearer sk-sage-mine", "Content-Type": "application/json" });
});

test("without a key there is no header; a form chooses its own type", async () => {
  wire.key = () => "";
  const form = new FormData();
  await send("POST", "v1/audio/transcriptions", { form });
  assert.deepEqual(asked[0].headers, {});
  assert.equal(asked[0].body, form);
});

test("OpenAI's envelope", async () => {
  refusal({ error: { message: "No.", type: "invalid_request_error", code: "bad", param: "seed" } }, 400, {
    "x-request-id": "req_1",
    "retry-after": "2.5",
  });
  const error = await failing(get("/v1/models"));
  const { message, status, type, code, param, requestId, retryAfter, offline } = error;
  assert.deepEqual(
    { message, status, type, code, param, requestId, retryAfter, offline },
    {
      message: "No.",
      status: 400,
      type: "invalid_request_error",
      code: "bad",
      param: "seed",
      requestId: "req_1",
      retryAfter: 2.5,
      offline: false,
    },
  );
  assert.deepEqual(heard, [["reached", true]]);
});

test("the Ask Sage API's", async () => {
  refusal({ response: "There is no dataset 'x'.", status: 400, param: "dataset" }, 404, { "x-request-id": "req_2" });
  const error = await failing(post("/server/query", {}));
  assert.deepEqual(
    [error.message, error.status, error.param, error.requestId],
    ["There is no dataset 'x'.", 404, "dataset", "req_2"],
  );
});

for (const body of ["<html>502 Bad Gateway</html>", "", "null", "7", '{"error": "text"}', '{"error": null}']) {
  test(`a body that is neither: ${body || "nothing"}`, async () => {
    refusal(body, 502);
    const error = await failing(get("/v1/models"));
    assert.deepEqual([error.message, error.status], ["The server answered with status 502.", 502]);
  });
}

test("a refused key is told with the key that was used, but not for one that is only tried", async () => {
  refusal({ error: { message: "Wrong." } }, 401);
  await failing(get("/v1/key", { key: "sk-sage-tried" }));
  assert.deepEqual(heard, [["reached", true]]);
  assert.equal(asked[0].headers.Authorization, "Bearer sk-sage-tried");
  await failing(get("/v1/models"));
  assert.deepEqual(heard.at(-1), ["refused", 401, "sk-sage-mine"]);
});

test("silence is an error of its own, and what was stopped is none of ours", async () => {
  answer = () => {
    throw new TypeError("Failed to fetch");
  };
  const error = await failing(get("/v1/models"));
  assert.deepEqual([error.status, error.offline, error.message], [0, true, "The server can't be reached."]);
  assert.deepEqual(heard, [["reached", false]]);
  answer = () => {
    throw new DOMException("stopped", "AbortError");
  };
  await assert.rejects(get("/v1/models"), { name: "AbortError" });
  assert.deepEqual(heard, [["reached", false]]);
});

const streaming = (text, broken = false) => {
  answer = () =>
    new Response(
      new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode(text));
          if (broken) controller.error(new TypeError("network error"));
          else controller.close();
        },
      }),
      { headers: { "x-request-id": "req_3" } },
    );
};
const all = async (events) => {
  const found = [];
  for await (const event of events) found.push(event);
  return found;
};

test("a stream is its events, up to [DONE]", async () => {
  streaming('data: {"a": 1}\n\nevent: x\ndata: {"b": 2}\n\ndata: [DONE]\n\ndata: {"c": 3}\n\n');
  let status;
  const events = stream("/v1/chat/completions", {
    json: {},
    onResponse: (response) => {
      status = response.status;
    },
  });
  assert.deepEqual(await all(events), [
    { event: "message", data: { a: 1 } },
    { event: "x", data: { b: 2 } },
  ]);
  assert.equal(status, 200);
});

test("an error that comes as an event is raised with the request's id", async () => {
  streaming('data: {"a": 1}\n\ndata: {"error": {"message": "The model died.", "code": "engine_died"}}\n\n');
  const error = await failing(all(stream("/v1/chat/completions", { json: {} })));
  assert.deepEqual([error.message, error.code, error.requestId], ["The model died.", "engine_died", "req_3"]);
});

for (const [what, text, broken] of [
  ["breaks off", 'data: {"a": 1}\n\n', true],
  ["is no JSON", "data: {\n\n", false],
]) {
  test(`a stream that ${what} says so`, async () => {
    streaming(text, broken);
    const error = await failing(all(stream("/v1/chat/completions", { json: {} })));
    assert.deepEqual([error.message, error.requestId], ["The answer broke off.", "req_3"]);
  });
}

test("a query has what is set, and hostile values are values", () => {
  assert.equal(query({ a: null, b: undefined, c: "" }), "");
  assert.equal(query({ by: "day", limit: 0, key: "a&b=c#d" }), "?by=day&limit=0&key=a%26b%3Dc%23d");
});

test("a body that breaks off is said to, with the request's id", async () => {
  answer = () => new Response('{"object": "li', { headers: { "x-request-id": "req_1" } });
  const error = await failing(get("/v1/models"));
  assert.deepEqual([error.message, error.requestId], ["The answer broke off.", "req_1"]);
});
