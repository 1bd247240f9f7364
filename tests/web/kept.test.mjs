/** Settings that outlive the page: what is read back is of the kind that the page knows, whatever was there. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const places = new Map();
const storage = {
  getItem: (name) => places.get(name) ?? null,
  setItem: (name, text) => places.set(name, text),
};
Object.defineProperty(globalThis, "localStorage", { configurable: true, get: () => storage });
const { kept, place } = await import("../../server/web/static/js/kept.js");

beforeEach(() => places.clear());

test("what is changed is found again", () => {
  const first = kept("form", { model: "a", seed: null });
  first.value = { ...first.value, seed: 7 };
  assert.deepEqual(kept("form", { model: "a", seed: null }).value, { model: "a", seed: 7 });
  assert.deepEqual([...places.keys()], ["sagehold.form"]);
});

test("fields that an older page did not know have their standard", () => {
  places.set("sagehold.form", '{"model": "a"}');
  assert.deepEqual(kept("form", { model: "b", size: "512x512" }).value, { model: "a", size: "512x512" });
});

for (const found of ["not json", "null", "7", '"text"', "[1, 2]"]) {
  test(`${found} is no form`, () => {
    places.set("sagehold.form", found);
    assert.deepEqual(kept("form", { model: "a" }).value, { model: "a" });
  });
}

test("a list is a list, a text a text, and false is kept", () => {
  places.set("sagehold.list", '{"0": 1}');
  assert.deepEqual(kept("list", []).value, []);
  kept("list", []).value = [1];
  assert.deepEqual(kept("list", []).value, [1]);
  kept("switch", true).value = false;
  assert.equal(kept("switch", true).value, false);
  places.set("sagehold.text", "7");
  assert.equal(kept("text", "").value, "");
});

test("a browser that keeps nothing still works", () => {
  const before = storage.setItem;
  storage.setItem = () => {
    throw new Error("QuotaExceededError");
  };
  const value = kept("form", { model: "a" });
  value.value = { model: "b" };
  assert.deepEqual(value.value, { model: "b" });
  storage.setItem = before;
});

test("the tab that is open is the URL's, and follows it", () => {
  let changed;
  globalThis.location = { hash: "#images/3" };
  globalThis.addEventListener = (name, heard) => {
    assert.equal(name, "hashchange");
    changed = heard;
  };
  globalThis.history = {
    replaceState: (_state, _title, hash) => {
      globalThis.location.hash = hash;
    },
  };
  const open = place(["chat", "images"]);
  assert.equal(open.value, "images");
  assert.equal(location.hash, "#images/3", "what stands below a tab is left alone");
  open.value = "chat";
  assert.equal(location.hash, "#chat");
  location.hash = "#nonsense";
  changed();
  assert.equal(open.value, "chat");
  location.hash = "#images";
  changed();
  assert.equal(open.value, "images");
});
