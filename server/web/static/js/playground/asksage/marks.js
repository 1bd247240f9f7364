/** The numbers in brackets by which an answer names its references. Pure functions. */

/**
 * A text as a list of strings and numbers: the numbers are marks such as [2] of references that there are.
 * `[1, 3]` and `[1][3]` are two each.
 *
 * @param {string} text @param {Set<number>} known
 */
export function marked(text, known) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(/\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]/g)) {
    const numbers = found[1].split(",").map(Number);
    if (!numbers.every((number) => known.has(number))) continue;
    if (found.index > at) parts.push(text.slice(at, found.index));
    parts.push(...numbers);
    at = found.index + found[0].length;
  }
  if (at < text.length) parts.push(text.slice(at));
  return parts;
}

/** A link of the web that may be followed, or null. */
export function safeLink(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url.href : null;
  } catch {
    return null;
  }
}

/** The questions of an answer that has one on each line, without what a model puts before them. */
export function suggestions(text) {
  const lines = text.split("\n").map((line) => line.replace(/^\s*(?:[-*•]|\d+[.)])\s*/, "").trim());
  return [...new Set(lines.filter((line) => line && line.length <= 300))].slice(0, 3);
}
