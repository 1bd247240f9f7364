/** The audit log in words. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { actionText, detailLines, isSaying } from "../../server/web/static/js/console/audit/acts.js";

test("a change tells what it was and what it is", () => {
  const details = {
    account: "acct_1",
    before: { weight: 1, limits: { tokens_per_minute: null }, models: ["a", "b"] },
    after: { weight: 2, limits: { tokens_per_minute: 9 }, models: null },
  };
  assert.deepEqual(detailLines(details), [
    ["account", "acct_1"],
    ["weight", "1", "2"],
    ["limits.tokens_per_minute", "–", "9"],
    ["models", "a, b", "–"],
  ]);
});

test("facts that say nothing can be left out", () => {
  const lines = detailLines({ name: "x", email: null, metered: true, note: "" });
  assert.deepEqual(lines.filter(isSaying), [
    ["name", "x"],
    ["metered", "yes"],
  ]);
  assert.ok(isSaying(["models", "–", "–"]));
});

test("every act of the server's has words of its own", () => {
  const known = {
    account: ["create", "change", "close", "reopen"],
    credits: ["grant"],
    key: ["create", "change", "revoke"],
    model: ["load", "unload", "probe"],
    dataset: ["search", "delete"],
    document: ["retry", "cancel", "delete"],
    file: ["delete"],
    batch: ["pause", "resume", "cancel"],
    persona: ["create", "change", "delete"],
    secret: ["renew"],
  };
  const acts = Object.entries(known).flatMap(([what, verbs]) => verbs.map((verb) => `${what}.${verb}`));
  assert.deepEqual(
    acts.filter((act) => actionText(act) === act),
    [],
  );
});

test("what this page does not know is shown as it is", () => {
  assert.equal(actionText("moon.land"), "moon.land");
  assert.deepEqual(detailLines({ before: "x", list: [{ a: 1 }, 2], deep: { er: { yet: 0 } } }), [
    ["list", '{"a":1}, 2'],
    ["deep.er.yet", "0"],
    ["before", "x"],
  ]);
});
