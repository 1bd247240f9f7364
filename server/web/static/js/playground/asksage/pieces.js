/** The stream of the Ask Sage API: objects of JSON, each followed by a separator; newlines between them break silences. */

const SEPARATOR = "@|@sep@|@";
/** How the separator stands within an object. */
const ESCAPED = "@|@@sep@@|@";

/** Splits a stream that comes in pieces of text. */
export class PieceParser {
  #rest = "";

  /** @param {string} text @returns {object[]} those that are whole now */
  push(text) {
    const parts = (this.#rest + text).split(SEPARATOR);
    this.#rest = parts.pop();
    return parts.map((part) => JSON.parse(part.replaceAll(ESCAPED, SEPARATOR)));
  }

  /** Whether an object has begun that is not whole. */
  get open() {
    return this.#rest.trim() !== "";
  }
}
