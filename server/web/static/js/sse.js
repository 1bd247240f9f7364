/**
 * Server-sent events, as the HTML standard reads them ("9.2.6 Interpreting an event stream"), of a response's body.
 * Ids and retry times are of no use here, and are left out. Comments go to whoever wants them: the server says in them
 * what it is doing, while there is nothing to send yet.
 */

/** Splits an event stream that comes in pieces of text. */
export class EventParser {
  #rest = "";
  #event = "";
  #data = [];
  #comment;

  /** @param {(text: string) => void} [onComment] */
  constructor(onComment) {
    this.#comment = onComment;
  }

  /** @param {string} text @returns {{event: string, data: string}[]} the events that are whole now */
  push(text) {
    const found = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length) found.push({ event: this.#event || "message", data: this.#data.join("\n") });
        this.#event = "";
        this.#data = [];
        continue;
      }
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (field === "") this.#comment?.(value);
      if (field === "data") this.#data.push(value);
      if (field === "event") this.#event = value;
    }
    return found;
  }

  /** What a last line that ends in a lone CR makes whole; what is half a line is dropped. */
  end() {
    return this.#rest.endsWith("\r") ? this.push("\n") : [];
  }
}

/** @param {ReadableStream<Uint8Array>} body @param {(text: string) => void} [onComment] @returns {AsyncGenerator<{event: string, data: string}>} */
export async function* eventsOf(body, onComment) {
  const parser = new EventParser(onComment);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      yield* done ? parser.end() : parser.push(value);
      if (done) return;
    }
  } finally {
    // Whoever stops listening hangs up: the server stops the model then, and bills what was made.
    await reader.cancel().catch(() => {});
  }
}
