/** A request whose way up can be watched, over an XMLHttpRequest that the test drives. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { headersOf, uploading } from "../../server/web/static/js/upload.js";

let request;

class Driven {
  static HEADERS_RECEIVED = 2;
  upload = {};
  sent = {};
  responseText = "";

  constructor() {
    request = this;
  }

  open(method, url) {
    Object.assign(this.sent, { method, url });
  }

  setRequestHeader(name, value) {
    this.sent[name] = value;
  }

  send(body) {
    this.sent.body = body;
  }

  abort() {
    this.aborted = true;
    this.onabort();
    this.onloadend();
  }

  getAllResponseHeaders() {
    return "content-type: text/event-stream\r\nx-request-id: req_1:2\r\n";
  }

  head(status) {
    this.status = status;
    this.readyState = Driven.HEADERS_RECEIVED;
    this.onreadystatechange();
  }

  text(more) {
    this.responseText += more;
    this.onprogress();
  }

  end() {
    this.onload();
    this.onloadend();
  }
}

beforeEach(() => {
  globalThis.XMLHttpRequest = Driven;
});
afterEach(() => {
  delete globalThis.XMLHttpRequest;
});

const begin = (options) =>
  uploading("http://localhost/x", {
    method: "POST",
    headers: { A: "b" },
    body: "sound",
    onUpload: () => {},
    ...options,
  });

test("the answer is there with its head, and its body comes in pieces", async () => {
  const seen = [];
  const answer = begin({ onUpload: (sent, all) => seen.push([sent, all]) });
  request.upload.onprogress({ loaded: 3, total: 5 });
  request.head(413);
  const response = await answer;
  assert.deepEqual(request.sent, { method: "POST", url: "http://localhost/x", A: "b", body: "sound" });
  assert.deepEqual(seen, [[3, 5]]);
  assert.equal(response.status, 413);
  assert.equal(response.headers.get("x-request-id"), "req_1:2");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  request.text("één");
  assert.equal((await reader.read()).value, "één");
  request.text(" twee");
  request.end();
  assert.equal((await reader.read()).value, " twee");
  assert.equal((await reader.read()).done, true);
});

test("a connection that fails is a TypeError, before the head and after it", async () => {
  const first = begin();
  request.onerror();
  await assert.rejects(first, TypeError);
  const second = begin();
  request.head(200);
  const response = await second;
  request.onerror();
  await assert.rejects(response.text(), TypeError);
});

test("stopping ends the request, at any time", async () => {
  const early = new AbortController();
  const first = begin({ signal: early.signal });
  early.abort();
  await assert.rejects(first, { name: "AbortError" });
  const late = new AbortController();
  const second = begin({ signal: late.signal });
  request.head(200);
  const response = await second;
  late.abort();
  assert.ok(request.aborted);
  await assert.rejects(response.text(), { name: "AbortError" });
  await assert.rejects(begin({ signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.ok(!("body" in request.sent));
});

test("whoever stops reading ends the request", async () => {
  const answer = begin();
  request.head(200);
  await (await answer).body.cancel();
  assert.ok(request.aborted);
});

test("headers are lines", () => {
  assert.equal(headersOf("").get("x"), null);
});
