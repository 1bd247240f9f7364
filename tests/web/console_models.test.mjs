/** What the console reads from the list of models, and which settings it finds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  actsOf,
  amountsOf,
  devicesOf,
  isGrace,
  movesOf,
  pricesOf,
} from "../../server/web/static/js/console/models/moves.js";
import { found } from "../../server/web/static/js/console/settings/finding.js";

test("changes of state are told, and new models are not", () => {
  const before = [
    { id: "a", state: "loading" },
    { id: "b", state: "ready" },
  ];
  const after = [
    { id: "a", state: "ready" },
    { id: "b", state: "ready" },
    { id: "c", state: "not_installed" },
  ];
  assert.deepEqual(movesOf(before, after), ["a: ready."]);
});

test("the books are read by device, the front end first and the models by name", () => {
  const books = {
    budget: { host: 100, gpus: { 0: 80, 1: 80 } },
    held: {
      "front end": { host: 10, gpus: {} },
      small: { host: 5, gpus: { 1: 7 } },
      big: { host: 30, gpus: { 0: 40, 1: 8 } },
    },
  };
  assert.deepEqual(devicesOf(books), [
    {
      label: "Host memory",
      budget: 100,
      parts: [
        { name: "front end", held: 10 },
        { name: "big", held: 30 },
        { name: "small", held: 5 },
      ],
    },
    { label: "GPU 0", budget: 80, parts: [{ name: "big", held: 40 }] },
    {
      label: "GPU 1",
      budget: 80,
      parts: [
        { name: "big", held: 8 },
        { name: "small", held: 7 },
      ],
    },
  ]);
  assert.deepEqual(amountsOf({ host: 0, gpus: { 2: 7 } }), [["GPU 2", 7]]);
});

test("prices name their units, and what is free is left out", () => {
  assert.deepEqual(pricesOf({ prompt_token: "0.001", completion_token: "0", image: "20", image_step: "1" }), [
    "0.001 a prompt token",
    "20 an image",
    "1 a step of an image",
  ]);
});

test("each state allows what the server would do", () => {
  const allowed = (state) => Object.keys(actsOf(state)).filter((act) => actsOf(state)[act]);
  assert.deepEqual(allowed("ready"), ["unload", "probe"]);
  assert.deepEqual(allowed("failed"), ["load", "unload"]);
  assert.deepEqual(allowed("asleep"), ["load", "unload"]);
  assert.deepEqual(allowed("unloaded"), ["load"]);
  for (const state of ["loading", "draining", "not_installed"]) assert.deepEqual(allowed(state), []);
});

test("settings are found by all words of the text", () => {
  const settings = [
    { name: "SAGEHOLD_PORT", value: "8000", source: "default", description: "port to listen on" },
    { name: "SAGEHOLD_MAX_BODY", value: "1MiB", source: "file", description: "largest JSON body" },
  ];
  const names = (text, changed = false) => found(settings, text, changed).map(({ name }) => name);
  assert.deepEqual(names(""), ["SAGEHOLD_PORT", "SAGEHOLD_MAX_BODY"]);
  assert.deepEqual(names("  body LARGEST "), ["SAGEHOLD_MAX_BODY"]);
  assert.deepEqual(names("settings file"), ["SAGEHOLD_MAX_BODY"]);
  assert.deepEqual(names("port body"), []);
  assert.deepEqual(names("", true), ["SAGEHOLD_MAX_BODY"]);
});

test("the time before requests are broken off is said, or it is none", () => {
  assert.deepEqual([0, 30, 600].map(isGrace), [true, true, true]);
  assert.deepEqual([null, -1, 601, Number.NaN].map(isGrace), [false, false, false, false]);
});
