/** What the forms of accounts and keys send. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { changesOf as accountChanges } from "../../server/web/static/js/console/accounts/changes.js";
import { changesOf as keyChanges } from "../../server/web/static/js/console/keys/changes.js";
import { fieldsOf } from "../../server/web/static/js/console/keys/expiry.js";
import { limitsText } from "../../server/web/static/js/console/keys/limits.js";
import { changesOf as personaChanges } from "../../server/web/static/js/console/knowledge/changes.js";

const LIMITS = { requests_per_minute: 60, tokens_per_minute: null, concurrent_requests: 4 };
const KEY = {
  id: "key_1",
  account: "acct_1",
  name: "laptop",
  scopes: ["inference", "usage"],
  models: ["a", "b"],
  priority: "normal",
  limits: LIMITS,
  expires_at: "2999-01-31T10:20:30Z",
};
const keyForm = (more) => ({ ...KEY, expiry: fieldsOf(KEY.expires_at), ...more });
const ACCOUNT = { id: "acct_1", name: "team", email: "a@b.c", metered: true, weight: 1, limits: LIMITS };
const accountForm = (more) => ({ ...ACCOUNT, credits: "", ...more });

test("a key that nobody changes sends nothing", () => {
  assert.deepEqual(keyChanges(keyForm(), KEY), {});
  assert.deepEqual(keyChanges(keyForm({ scopes: ["usage", "inference"], models: ["b", "a"] }), KEY), {});
});

test("what is lifted has a word of its own, since null stays as it is", () => {
  const lifted = keyForm({ models: null, expiry: fieldsOf(null), limits: { ...LIMITS, requests_per_minute: null } });
  assert.deepEqual(keyChanges(lifted, KEY), {
    models: "all",
    expires_at: "never",
    limits: { requests_per_minute: null },
  });
});

test("a new key sends all of it, and no id", () => {
  assert.deepEqual(keyChanges(keyForm({ models: null, expiry: fieldsOf(null) }), null), {
    account: "acct_1",
    name: "laptop",
    scopes: ["inference", "usage"],
    models: null,
    priority: "normal",
    limits: LIMITS,
    expires_at: null,
  });
});

test("an account sends what differs; an address is taken away by a word", () => {
  assert.deepEqual(accountChanges(accountForm(), ACCOUNT), {});
  assert.deepEqual(accountChanges(accountForm({ email: " ", weight: 2 }), ACCOUNT), { email: "none", weight: 2 });
  assert.deepEqual(accountChanges(accountForm({ email: "" }), { ...ACCOUNT, email: null }), {});
});

test("a new account sends its credits as they were typed", () => {
  const sent = accountChanges(accountForm({ email: "", credits: " 900000000.123456789 " }), null);
  assert.equal(sent.credits, "900000000.123456789");
  assert.ok(!("email" in sent));
  assert.ok(!("credits" in accountChanges(accountForm(), null)));
});

test("limits in words", () => {
  assert.equal(limitsText(LIMITS), "60 requests a minute, 4 requests at once");
  assert.equal(
    limitsText({ requests_per_minute: 0, tokens_per_minute: null, concurrent_requests: null }),
    "0 requests a minute",
  );
  assert.equal(limitsText({ requests_per_minute: null, tokens_per_minute: null, concurrent_requests: null }), "none");
});

test("of a persona only what somebody typed over is sent, so that another's change stays", () => {
  const persona = { id: 1, name: "Clerk", description: "Short answers. ", prompt: "Be brief.", origin: "file" };
  assert.deepEqual(personaChanges(persona, persona), {});
  assert.deepEqual(personaChanges({ ...persona, prompt: "" }, persona), { prompt: "" });
  assert.deepEqual(personaChanges({ name: " New ", description: "", prompt: " kept " }, null), {
    name: "New",
    description: "",
    prompt: " kept ",
  });
});

test("a key that ends in the hour that the clock has twice keeps its end when its name changes", () => {
  const before = process.env.TZ;
  process.env.TZ = "Europe/Berlin";
  try {
    const record = { ...KEY, expires_at: "2027-10-31T01:30:00Z" };
    const form = { ...record, name: "desk", expiry: fieldsOf(record.expires_at) };
    assert.deepEqual(keyChanges(form, record), { name: "desk" });
  } finally {
    if (before === undefined) delete process.env.TZ;
    else process.env.TZ = before;
  }
});
