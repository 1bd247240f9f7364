/** The file of a batch's failed requests, read as a stream, line by line, and no further than is shown. Pure functions. */

/** As many lines are shown. */
export const MOST = 1_000;
/** Characters of a line that are read; a longer one is shown by its beginning. */
const LONGEST = 256 * 1024;

/**
 * The lines of a stream of bytes, without their ends; empty ones are left out. A line that is too long comes as its first
 * LONGEST characters. Whoever stops early ends the request.
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<string>}
 */
export async function* linesOf(body, longest = LONGEST) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let line = "";
  const grow = (piece) => {
    if (line.length < longest) line += piece.slice(0, longest - line.length);
  };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      let text = done ? decoder.decode() : decoder.decode(value, { stream: true });
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        grow(text.slice(0, end));
        if (line.trim()) yield line;
        line = "";
        text = text.slice(end + 1);
      }
      grow(text);
      if (done) break;
    }
    if (line.trim()) yield line;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** What a line says of a request: {line, customId, status, code, message, param, requestId}. line: where the request stands
 * in the input file, from 1; null where that is not said. */
export function failureOf(text) {
  let record;
  try {
    record = JSON.parse(text);
  } catch {
    return { line: null, customId: "", status: null, code: null, message: text.slice(0, 500), param: null };
  }
  const body = record?.response?.body;
  const error = record?.error ?? body?.error ?? {};
  return {
    line: lineOf(record?.id),
    customId: String(record?.custom_id ?? ""),
    status: record?.response?.status_code ?? null,
    code: error.code ?? error.type ?? null,
    message: String(error.message ?? (typeof body === "string" ? body : "")),
    param: error.param ?? null,
    requestId: record?.response?.request_id ?? null,
  };
}

/** batch_req_<batch>_<line>, which this server writes. */
function lineOf(id) {
  const found = /_(\d+)$/.exec(String(id ?? ""));
  return found ? Number(found[1]) : null;
}

/** The failures of a stream: {failures, more}. more: whether there are others behind them. */
export async function failuresOf(body, most = MOST) {
  const failures = [];
  for await (const line of linesOf(body)) {
    if (failures.length === most) return { failures, more: true };
    failures.push(failureOf(line));
  }
  return { failures, more: false };
}
