/**
 * Where a Markdown text that still grows may be cut, so that what stands is parsed once and only its end again and again.
 * Pure functions.
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** Lines that go on with a block above a blank line: of a list, of what is indented, of a table. */
const GOES_ON = /^(?:\s|[-*+](?: |$)|\d+(?:[.)](?: |$)|$)|\||>)/;

/** The text in pieces that stand for themselves; all of them together are the text. The last one may still change. */
export function blocksOf(text) {
  const blocks = [];
  let begun = 0;
  let at = 0;
  let fence = "";
  let blank = false;
  for (const line of text.split("\n")) {
    const mark = FENCE.exec(line)?.[1];
    if (blank && !fence && line.trim() && !GOES_ON.test(line)) {
      blocks.push(text.slice(begun, at));
      begun = at;
    }
    if (fence) {
      if (mark && mark[0] === fence[0] && mark.length >= fence.length) fence = "";
    } else if (mark) fence = mark;
    blank = !fence && line.trim() === "";
    at += line.length + 1;
  }
  blocks.push(text.slice(begun));
  return blocks;
}
