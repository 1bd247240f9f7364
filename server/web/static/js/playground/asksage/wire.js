/** The way to the Ask Sage API, whose refusals come with HTTP status 200 and their own in the body. */
import { ApiError, read, send, wire } from "../../http.js";
import { PieceParser } from "./pieces.js";

/** What a body says that is no success, as an ApiError; null for a success. */
export function refusalIn(body, response) {
  const known = {
    requestId: response.headers.get("x-request-id"),
    retryAfter: Number.parseFloat(response.headers.get("retry-after")) || null,
  };
  // A model that is not served is an answer of its own kind, which explains that.
  if (body.type === "teach") return new ApiError(body.message, { ...known, status: 404, code: body.error ?? null });
  const status = Number(body.status);
  if (!(status >= 400)) return null;
  const { response: message, error: code = null, param = null } = body;
  return new ApiError(String(message), { ...known, status, code, param });
}

function demand(body, response, used) {
  const refusal = refusalIn(body, response);
  if (!refusal) return;
  // The API has no status of its own for a key that is not taken any more; session.js asks for another one then.
  if (refusal.code === "invalid_api_key" || refusal.message.startsWith("Token is invalid")) wire.refused(refusal, used);
  throw refusal;
}

/** The answer to one request. Raises ApiError. */
export async function call(path, json = {}, { signal } = {}) {
  const used = wire.key();
  const response = await send("POST", path, { json, signal });
  const body = await read(response);
  demand(body, response, used);
  return body;
}

/** Most answers' payload. */
export const said = async (path, json, options) => (await call(path, json, options)).response;

/**
 * The answer to a question, as it grows. onText: gets the text so far; returns the whole answer with what it draws on.
 * Raises ApiError, and AbortError where `signal` says so.
 */
export async function ask(json, { signal, onText } = {}) {
  const used = wire.key();
  const response = await send("POST", "/server/query_stream", { json, signal });
  // What is wrong from the beginning is answered as JSON, and ends without a separator.
  if (response.headers.get("content-type")?.startsWith("application/json")) {
    const body = await read(response);
    demand(body, response, used);
    return body;
  }
  const brokenOff = () => new ApiError("The answer broke off.", { requestId: response.headers.get("x-request-id") });
  const parser = new PieceParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw brokenOff();
      for (const piece of parser.push(value)) {
        demand(piece, response, used);
        if (piece.type !== "partial") return piece;
        onText?.(piece.message);
      }
    }
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") throw error;
    throw brokenOff();
  } finally {
    // Whoever stops listening hangs up: the server stops the model then.
    await reader.cancel().catch(() => {});
  }
}
