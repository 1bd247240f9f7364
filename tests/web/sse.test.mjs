/** The parser of server-sent events: the same events, wherever the stream is cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser, eventsOf } from "../../server/web/static/js/sse.js";

const STREAM = [
  ": a comment",
  "",
  'data: {"text": "Grüße 🌍"}',
  "",
  "event: image.partial",
  "id: 7",
  "retry: 1000",
  "data: one",
  "data:two",
  "data",
  "data:  three",
  "",
  "event: named without data",
  "",
  "data: after",
  "",
  "data: [DONE]",
  "",
  "data: half of an event",
];
const EVENTS = [
  { event: "message", data: '{"text": "Grüße 🌍"}' },
  { event: "image.partial", data: "one\ntwo\n\n three" },
  { event: "message", data: "after" },
  { event: "message", data: "[DONE]" },
];

function body(bytes, at) {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes.slice(0, at));
      controller.enqueue(bytes.slice(at));
      controller.close();
    },
  });
}

async function all(stream) {
  const found = [];
  for await (const event of eventsOf(stream)) found.push(event);
  return found;
}

for (const [name, end] of Object.entries({ LF: "\n", CRLF: "\r\n", CR: "\r" })) {
  test(`lines that end in ${name}, cut at every byte`, async () => {
    const bytes = new TextEncoder().encode(STREAM.join(end));
    for (let at = 0; at <= bytes.length; at += 1) assert.deepEqual(await all(body(bytes, at)), EVENTS, `cut at ${at}`);
  });
}

test("a byte at a time", async () => {
  const bytes = new TextEncoder().encode(STREAM.join("\r\n"));
  const stream = new ReadableStream({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  assert.deepEqual(await all(stream), EVENTS);
});

test("a byte order mark is no part of the first field", async () => {
  const bytes = new TextEncoder().encode("\ufeffdata: first\n\n");
  for (let at = 0; at <= 4; at += 1) {
    assert.deepEqual(await all(body(bytes, at)), [{ event: "message", data: "first" }]);
  }
});

test("an event ends with its empty line, also by a CR that is the last of all", async () => {
  const bytes = new TextEncoder().encode("data: first\r\rdata: last\r\r");
  assert.deepEqual(
    (await all(body(bytes, 3))).map((event) => event.data),
    ["first", "last"],
  );
});

test("several events in one piece, and none in most", () => {
  const parser = new EventParser();
  assert.deepEqual(parser.push("da"), []);
  assert.deepEqual(parser.push("ta: a\n\ndata: b\n\ndata: c\n"), [
    { event: "message", data: "a" },
    { event: "message", data: "b" },
  ]);
  assert.deepEqual(parser.push("\n"), [{ event: "message", data: "c" }]);
});

test("a field with a colon in its value, and one that nobody knows", () => {
  const parser = new EventParser();
  assert.deepEqual(parser.push("data: a: b\nunknown: c\n:data: no\n data: no\n\n"), [
    { event: "message", data: "a: b" },
  ]);
});

test("who stops listening hangs up", async () => {
  let left = false;
  const stream = new ReadableStream({
    pull(controller) {
      controller.enqueue(new TextEncoder().encode("data: more\n\n"));
    },
    cancel() {
      left = true;
    },
  });
  for await (const { data } of eventsOf(stream)) {
    assert.equal(data, "more");
    break;
  }
  assert.ok(left);
});

test("comments go to whoever wants them, and are no events", async () => {
  const heard = [];
  const parser = new EventParser((text) => heard.push(text));
  assert.deepEqual(parser.push(": pass 1 of 5, drafts\n\n:\ndata: a\n: half"), []);
  assert.deepEqual(parser.push(" a comment\n\n"), [{ event: "message", data: "a" }]);
  assert.deepEqual(heard, ["pass 1 of 5, drafts", "", "half a comment"]);
  const found = [];
  const text = new TextEncoder().encode(": at work\n\ndata: b\n\n");
  for await (const event of eventsOf(new Blob([text]).stream(), (said) => found.push(said))) found.push(event.data);
  assert.deepEqual(found, ["at work", "b"]);
});
