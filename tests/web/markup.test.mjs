/** Markdown that was made to hold a page up, or that a model has written in a loop: it becomes HTML soon, and is all there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { marksOf } from "../../server/web/static/js/components/markup.js";

const LENGTH = 60_000;
const much = (text) => text.repeat(Math.ceil(LENGTH / text.length));
const around = (before, after) => `${much(before)}a${much(after)}`;
const NESTED = [much(">"), much("> - "), around("**", "**")];
const REPEATED = ["[", "_a", "[a](", "*a ", "a@a.", "<a ", "|"].map(much);
const OTHERS = [`${much("a.")}@`, `[a](b "${much('a"')}`, around("[", "](b)")];

/** What is shown, without its elements. */
const shown = (html) =>
  html
    .replace(/<[^>]*>/g, "")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");

test("no text takes longer than a blink, also where it is nested without end", () => {
  for (const text of [...NESTED, ...REPEATED, ...OTHERS]) {
    const begun = performance.now();
    marksOf(text);
    // Without bounds minutes; with them some milliseconds, of which a busy machine makes more.
    assert.ok(performance.now() - begun < 3_000, text.slice(0, 20));
  }
});

test("what has too many marks is shown as it is written", () => {
  for (const text of [much(">"), much("["), `${much("a.")}@`]) assert.equal(shown(marksOf(text)).trim(), text);
});

test("one long paragraph takes nothing from the others, nor from code", () => {
  const code = "x".repeat(LENGTH);
  const html = marksOf(`**bold**\n\n${much("_a")}\n\n- *item*\n\n\`\`\`\n${code}\n\`\`\`\n`);
  for (const part of ["<strong>bold</strong>", "<em>item</em>", `<code>${code}\n</code>`])
    assert.ok(html.includes(part));
});

test("what stands in a text that is too long for marks is text", () => {
  const html = marksOf(`<img src=x onerror=alert(1)> ${much("a ")}`);
  assert.ok(html.startsWith("<p>&lt;img src=x onerror=alert(1)&gt; "));
});
