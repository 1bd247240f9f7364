/** The text format of Prometheus, as the server and others write it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../../server/web/static/js/console/live/exposition.js";

const plain = (samples) => samples.map(({ labels, value }) => ({ labels: { ...labels }, value }));

test("samples are read with their labels and values", () => {
  const found = parse(
    [
      "# HELP up Whether it is up",
      "# TYPE up gauge",
      "up 1.0",
      'requests_total{route="/v1/chat/completions",status="200",model=""} 1.5e+03',
      'requests_total{ route="/x", status = "400" , } 2 1395066363000',
      "",
    ].join("\n"),
  );
  assert.deepEqual(plain(found.get("up")), [{ labels: {}, value: 1 }]);
  assert.deepEqual(plain(found.get("requests_total")), [
    { labels: { route: "/v1/chat/completions", status: "200", model: "" }, value: 1500 },
    { labels: { route: "/x", status: "400" }, value: 2 },
  ]);
  assert.equal(found.get("nothing"), undefined);
});

test("labels may hold quotes, braces, commas, backslashes and line ends", () => {
  const found = parse(String.raw`x{a="say \"hi\", {you}",b="C:\\new\n",c="a\qb"} 3`);
  assert.deepEqual(plain(found.get("x")), [
    { labels: { a: 'say "hi", {you}', b: "C:\\new\n", c: String.raw`a\qb` }, value: 3 },
  ]);
});

test("names of labels are no names of JavaScript", () => {
  const [{ labels }] = parse('x{__proto__="a",constructor="b"} 1').get("x");
  assert.deepEqual(Object.entries(labels), [
    ["__proto__", "a"],
    ["constructor", "b"],
  ]);
  assert.equal(Object.getPrototypeOf(labels), null);
  assert.equal(labels.toString, undefined);
  assert.equal({}.a, undefined);
});

test("infinite values and no numbers are read as such", () => {
  const found = parse('x{le="+Inf"} 4\ny +Inf\nz -Inf\nn NaN');
  assert.equal(found.get("x")[0].labels.le, "+Inf");
  assert.equal(found.get("y")[0].value, Infinity);
  assert.equal(found.get("z")[0].value, -Infinity);
  assert.ok(Number.isNaN(found.get("n")[0].value));
});

test("lines that are none are left out, and the others stand", () => {
  const found = parse(['a{b="c} 1', "a{b=c} 1", "a{b} 1", "1a 2", "a", "a one", '<html>{"x":1}', "good 1"].join("\n"));
  assert.deepEqual([...found.keys()], ["good"]);
});

test("a megabyte of hostile text is read at once", () => {
  const begun = performance.now();
  parse(`a{${' b="'.repeat(50_000)}\n${"a".repeat(200_000)} \n${'a{b="\\'.repeat(1_000)}`);
  assert.ok(performance.now() - begun < 1_000);
});
