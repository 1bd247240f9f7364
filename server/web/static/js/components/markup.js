/**
 * Markdown as HTML, in a time that nobody notices whatever the text is: models repeat themselves, and some texts are made to
 * hold a page up. What comes out is not clean yet: see prose.js. Pure functions.
 */
import { Lexer, Marked } from "../../vendor/marked/marked.js";

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (text) => text.replace(/[&<>"']/g, (character) => ENTITIES[character]);

const marked = new Marked({
  gfm: true,
  breaks: false,
  renderer: {
    // A picture would be fetched from wherever the text says.
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    // What a model writes about HTML shall be read. A table has no other way to break a line, a formula to raise a letter.
    html: ({ text }) => (/^<(?:br ?\/?|\/?su[bp])>$/i.test(text.trim()) ? text : escaped(text)),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** Characters of a paragraph or a cell, about 800 words. marked takes time by their square: 20,000 of `_a_a_a…` take
 * seconds, 50,000 of `[[[…` minutes. */
const LONGEST = 5_000;

/** As marked's, but that a longer paragraph is text without marks. */
class Bounded extends Lexer {
  inlineTokens(text, tokens = []) {
    if (text.length <= LONGEST) return super.inlineTokens(text, tokens);
    tokens.push({ type: "text", raw: text, text, escaped: false });
    return tokens;
  }
}

/** The text as HTML, or as one paragraph as it is written where it is nested deeper than can be followed. */
export function marksOf(text) {
  try {
    return marked.parser(new Bounded(marked.defaults).lex(text));
  } catch (error) {
    // Too much recursion: thousands of quotes in each other.
    if (!(error instanceof RangeError) && error.name !== "InternalError") throw error;
    return `<p>${escaped(text)}</p>`;
  }
}
