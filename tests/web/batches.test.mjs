/** Batches in the console: where they stand, how long they take, what failed, and what a file looks like before it is sent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { failureOf, failuresOf, linesOf } from "../../server/web/static/js/console/batches/lines.js";
import { isLate, observed, paceOf, roughly, timeLeft } from "../../server/web/static/js/console/batches/pace.js";
import { beginningOf, ENDPOINTS, sampleOf } from "../../server/web/static/js/console/batches/sample.js";
import {
  actsOf,
  countsOf,
  creditsOf,
  isMoving,
  isOver,
  milestones,
  noteOf,
  progressWords,
  stateKind,
  stateWords,
} from "../../server/web/static/js/console/batches/states.js";
import { fieldsOf, keptOf, purposeWords } from "../../server/web/static/js/console/files/purposes.js";

const batch = (fields = {}) => ({
  id: "batch_1",
  status: "in_progress",
  created_at: 1_000,
  in_progress_at: 1_010,
  request_counts: { total: 100, completed: 20, failed: 5 },
  paused: null,
  errors: null,
  ...fields,
});
const paused = (reason) => batch({ paused: { reason, message: "Words.", since: 1_100 } });

test("each state has its words, its colour, and what can be done", () => {
  const of = (fields) => {
    const one = batch(fields);
    const acts = Object.entries(actsOf(one)).filter(([, can]) => can);
    return [stateWords(one), stateKind(one), acts.map(([act]) => act).join(" "), isOver(one), isMoving(one)];
  };
  assert.deepEqual(of({ status: "validating" }), ["being checked", "info", "pause cancel", false, true]);
  assert.deepEqual(of({ status: "validating", paused: { reason: "user" } }), [
    "paused",
    "warn",
    "resume cancel",
    false,
    false,
  ]);
  assert.deepEqual(of({}), ["running", "info", "pause cancel", false, true]);
  assert.deepEqual(of({ paused: { reason: "user" } }), ["paused", "warn", "resume cancel", false, false]);
  assert.deepEqual(of({ status: "finalizing" }), ["being finished", "info", "", false, true]);
  assert.deepEqual(of({ status: "completed" }), ["done", "good", "", true, false]);
  assert.deepEqual(of({ status: "failed" }), ["failed", "bad", "", true, false]);
  assert.deepEqual(of({ status: "expired" }), ["expired", "warn", "", true, false]);
  assert.deepEqual(of({ status: "cancelling" }), ["being cancelled", "info", "", false, true]);
  assert.deepEqual(of({ status: "cancelled" }), ["cancelled", "faint", "", true, false]);
  assert.deepEqual(of({ status: "of_tomorrow" }), ["of tomorrow", "info", "", false, true]);
  // A batch that was paused when it ended is not paused any more.
  assert.equal(stateWords(batch({ status: "cancelled", paused: { reason: "user" } })), "cancelled");
});

test("counts that are not there yet are none", () => {
  assert.deepEqual(countsOf({}), { total: 0, done: 0, failed: 0, left: 0 });
  assert.deepEqual(countsOf(batch()), { total: 100, done: 25, failed: 5, left: 75 });
  assert.equal(progressWords(batch()), "25 of 100, 5 failed");
  assert.equal(
    progressWords(batch({ request_counts: { total: 2_000, completed: 1_500, failed: 0 } })),
    "1,500 of 2,000",
  );
  assert.equal(progressWords(batch({ status: "validating", request_counts: null })), "its file is being read");
  assert.equal(progressWords(batch({ status: "failed", request_counts: null })), "no requests");
  assert.equal(creditsOf(batch()), null);
  assert.equal(creditsOf(batch({ usage: { credits: 0 } })), 0);
});

test("why a batch rests or how it ended is said, with what to do", () => {
  assert.equal(noteOf(batch()), null);
  assert.equal(noteOf(batch({ status: "completed" })), null);
  assert.match(noteOf(paused("user")).text, /Resume it/);
  assert.match(noteOf(paused("insufficient_credits")).text, /by itself once there are credits/);
  assert.match(noteOf(paused("model_unavailable")).title, /model/);
  assert.match(noteOf(paused("of_tomorrow")).title, /paused/);
  const wrong = noteOf(batch({ status: "failed", errors: { data: [{ line: 3, message: "No." }] } }));
  assert.match(wrong.text, /nothing was paid/);
  const ended = noteOf(batch({ status: "failed", errors: { data: [{ line: null, message: "The key is revoked." }] } }));
  assert.match(ended.text, /reason stands below.*in the output/);
  assert.match(noteOf(batch({ status: "expired" })).text, /^75 requests had no answer.*more time/);
  assert.match(noteOf(batch({ status: "cancelled" })).text, /^75 requests/);
  const none = { total: 3, completed: 0, failed: 0 };
  assert.doesNotMatch(noteOf(batch({ status: "cancelled", request_counts: none })).text, /output/);
  assert.equal(noteOf(batch({ status: "cancelling" })).kind, "info");
});

test("milestones come in the order in which they were passed", () => {
  const found = milestones(
    batch({ status: "cancelled", cancelling_at: 1_050, cancelled_at: 1_060, expires_at: 9_999 }),
  );
  assert.deepEqual(found, [
    ["made", 1_000],
    ["begun", 1_010],
    ["cancel asked for", 1_050],
    ["cancelled", 1_060],
  ]);
});

test("the pace is what was seen, and before that the mean since the beginning", () => {
  const at = (done) => batch({ request_counts: { total: 100, completed: done, failed: 0 } });
  let seen = observed(new Map(), [at(10)], 1_110);
  assert.equal(paceOf(seen, at(10), 1_110), 0.1);
  assert.equal(timeLeft(seen, at(10), 1_110), 900);
  seen = observed(seen, [at(30)], 1_120);
  assert.equal(paceOf(seen, at(30), 1_120), 2);
  assert.equal(timeLeft(seen, at(30), 1_120), 35);
  assert.equal(isLate(seen, { ...at(30), expires_at: 1_150 }, 1_120), true);
  assert.equal(isLate(seen, { ...at(30), expires_at: 1_160 }, 1_120), false);
  assert.equal(isLate(seen, at(30), 1_120), false);
});

test("what rests has no pace, and old looks don't count", () => {
  let seen = observed(new Map(), [batch()], 1_100);
  seen = observed(seen, [paused("user")], 1_110);
  assert.equal(seen.size, 0);
  assert.equal(paceOf(seen, paused("user"), 1_110), null);
  seen = observed(new Map([["batch_1", [[1_100, 0]]]]), [batch()], 1_500);
  assert.deepEqual(seen.get("batch_1"), [[1_500, 25]]);
  // The same list, shown twice.
  assert.deepEqual(observed(seen, [batch()], 1_500).get("batch_1"), [[1_500, 25]]);
  const none = batch({ request_counts: { total: 100, completed: 0, failed: 0 } });
  assert.equal(timeLeft(observed(new Map(), [none], 2_000), none, 2_000), null);
  assert.equal(timeLeft(new Map(), batch({ status: "validating" }), 2_000), null);
});

test("times as one says them", () => {
  assert.deepEqual([0.4, 59, 61, 3_500, 5_400, 100_000, 200_000].map(roughly), [
    "0 s",
    "59 s",
    "1 min",
    "58 min",
    "2 h",
    "28 h",
    "2 days",
  ]);
});

/** A stream of these pieces; `cancelled` tells whether it was left. */
function streamOf(pieces) {
  const state = { pulled: 0, cancelled: false };
  const body = new ReadableStream({
    pull(controller) {
      if (state.pulled === pieces.length) controller.close();
      else controller.enqueue(pieces[state.pulled++]);
    },
    cancel() {
      state.cancelled = true;
    },
  });
  return { body, state };
}
const encoded = (...texts) => texts.map((text) => new TextEncoder().encode(text));
async function all(body, longest) {
  const lines = [];
  for await (const line of linesOf(body, longest)) lines.push(line);
  return lines;
}

test("lines are put together across pieces, characters too", async () => {
  const bytes = new TextEncoder().encode('{"a":"ä€🌍"}\n\r\n{"b":1}\r\n{"c":2}');
  for (const size of [1, 2, 3, 5, 100]) {
    const pieces = [];
    for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
    assert.deepEqual(
      (await all(streamOf(pieces).body)).map((line) => JSON.parse(line)),
      [{ a: "ä€🌍" }, { b: 1 }, { c: 2 }],
    );
  }
  assert.deepEqual(await all(streamOf([]).body), []);
});

test("a line of any length is held by its beginning alone", async () => {
  const { body } = streamOf(encoded("x".repeat(50), "y".repeat(50), "z\nnext\n"));
  assert.deepEqual(await all(body, 60), ["x".repeat(50) + "y".repeat(10), "next"]);
});

test("no more failures are read than are shown, and the request is ended", async () => {
  const line = (at) =>
    `${JSON.stringify({ id: `batch_req_ab_${at}`, custom_id: `c${at}`, error: { message: "No." } })}\n`;
  const pieces = Array.from({ length: 50 }, (_, at) => new TextEncoder().encode(line(at + 1)));
  const { body, state } = streamOf(pieces);
  const { failures, more } = await failuresOf(body, 3);
  assert.deepEqual(
    failures.map((one) => one.line),
    [1, 2, 3],
  );
  assert.equal(more, true);
  assert.equal(state.cancelled, true);
  assert.ok(state.pulled < 10);
  assert.equal((await failuresOf(streamOf(pieces.slice(0, 3)).body, 3)).more, false);
});

test("a failure is read from a refusal, from the batch's own end, and from anything else", () => {
  const refusal = {
    id: "batch_req_00ff_12",
    custom_id: "mine",
    response: {
      status_code: 400,
      request_id: "req_1",
      body: { error: { message: "Too hot.", type: "invalid_request_error", param: "temperature", code: null } },
    },
    error: null,
  };
  assert.deepEqual(failureOf(JSON.stringify(refusal)), {
    line: 12,
    customId: "mine",
    status: 400,
    code: "invalid_request_error",
    message: "Too hot.",
    param: "temperature",
    requestId: "req_1",
  });
  const expired = { id: "x", custom_id: "c", response: null, error: { code: "batch_expired", message: "Too late." } };
  const found = failureOf(JSON.stringify(expired));
  assert.deepEqual([found.line, found.status, found.code, found.message], [null, null, "batch_expired", "Too late."]);
  assert.equal(failureOf('{"cut": "o').message, '{"cut": "o');
  assert.equal(failureOf("null").message, "");
  assert.equal(failureOf('{"response": {"status_code": 502, "body": "Bad gateway"}}').message, "Bad gateway");
});

test("the example of each endpoint is a file that is taken", () => {
  for (const { path } of ENDPOINTS) {
    const text = sampleOf(path, "m");
    assert.equal(text.split("\n").length, 3);
    assert.deepEqual(beginningOf(text, true), { endpoint: path, model: "m", problem: "" });
    const lines = text.split("\n").map((line) => JSON.parse(line));
    assert.equal(new Set(lines.map((line) => line.custom_id)).size, 3);
  }
});

for (const [name, text, whole, problem] of [
  ["nothing", "", true, /empty/],
  ["blank lines", "\n \n", true, /empty/],
  ["a broken line", '{"custom_id":"a","url":"/v1/embeddings","body":{}}\n{oops\n', true, /^Line 2 is no JSON/],
  ["a list", "[]\n", true, /^Line 1 is no JSON object/],
  ["null", "null\n", true, /^Line 1 is no JSON object/],
  ["no custom_id", '{"url":"/v1/embeddings","body":{}}\n', true, /custom_id/],
  ["two URLs", '{"custom_id":"a","url":"/x"}\n{"custom_id":"b","url":"/y"}\n', true, /several URLs: \/x, \/y/],
]) {
  test(`a file with ${name} is known before it is sent`, () => {
    assert.match(beginningOf(text, whole).problem, problem);
  });
}

test("a line that is cut off where one stopped looking is no fault", () => {
  const text = `${sampleOf("/v1/embeddings", "m")}\n{"custom_id":"x","ur`;
  assert.equal(beginningOf(text, false).problem, "");
  assert.match(beginningOf(text, true).problem, /^Line 4/);
  assert.deepEqual(beginningOf('{"custom_id":"long', false), { endpoint: null, model: null, problem: "" });
  assert.equal(beginningOf(`\ufeff${text}`, false).problem, "");
});

test("a file's purpose and end are sent as the API has them", () => {
  assert.deepEqual(fieldsOf("batch", ""), { purpose: "batch" });
  assert.deepEqual(fieldsOf("vision", "3600"), {
    purpose: "vision",
    "expires_after[anchor]": "created_at",
    "expires_after[seconds]": "3600",
  });
  // The first one is what the server does by itself.
  assert.deepEqual([keptOf("batch")[0][0], keptOf("vision")[0][0]], ["2592000", ""]);
  assert.deepEqual(["batch_output", "fine_tune"].map(purposeWords), ["batch output", "fine tune"]);
});
