/** The way to the server: the public HTTP API with the tab's key, and its refusals as errors. */
import { eventsOf } from "./sse.js";
import { uploading } from "./upload.js";

/** The server's address as this page sees it, with a slash at its end: it may stand below a path of a proxy's. */
export const BASE = new URL(".", globalThis.location?.href ?? "http://localhost/").href;

/** What the server refused, or that it did not answer. */
export class ApiError extends Error {
  /** status: of HTTP, 0 where nothing came back. param: the field that is wrong. requestId: for whoever reads the log.
   * retryAfter: seconds, or null. */
  constructor(
    message,
    { status = 0, code = null, type = null, param = null, requestId = null, retryAfter = null } = {},
  ) {
    super(message);
    this.name = "ApiError";
    Object.assign(this, { status, code, type, param, requestId, retryAfter });
  }

  get offline() {
    return this.status === 0;
  }
}

/** Is set by session.js: the key that goes along, and who hears that it is not taken any more. */
export const wire = { key: () => "", refused: () => {}, reached: () => {} };

/**
 * One request. Returns the Response of a success; raises ApiError for everything else, and AbortError where `signal` says so.
 * json: the body's value; form: a FormData; key: instead of the tab's. onUpload: see uploading().
 */
export async function send(method, path, { json, form, headers = {}, signal, key, onUpload } = {}) {
  const sent = { ...headers };
  const used = key ?? wire.key();
  if (used) sent.Authorization = `Bearer ${used}`;
  if (json !== undefined) sent["Content-Type"] = "application/json";
  let response;
  try {
    response = await (onUpload ? uploading : fetch)(BASE + path.replace(/^\//, ""), {
      method,
      headers: sent,
      body: json !== undefined ? JSON.stringify(json) : form,
      signal,
      onUpload,
      // The key is in the header; no cookie is read or kept.
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    wire.reached(false);
    throw new ApiError("The server can't be reached.");
  }
  wire.reached(true);
  if (response.ok) return response;
  const error = await refusalOf(response);
  if (error.status === 401 && key === undefined) wire.refused(error, used);
  throw error;
}

/** The envelope of a refusal, of whichever dialect. */
async function refusalOf(response) {
  const known = {
    status: response.status,
    requestId: response.headers.get("x-request-id"),
    retryAfter: Number.parseFloat(response.headers.get("retry-after")) || null,
  };
  let body = null;
  try {
    body = JSON.parse(await response.text());
  } catch {
    // A proxy's page, or a body that broke off.
  }
  const error = body?.error;
  if (error && typeof error === "object") {
    return new ApiError(String(error.message), { ...known, code: error.code, type: error.type, param: error.param });
  }
  if (typeof body?.response === "string") return new ApiError(body.response, { ...known, param: body.param ?? null });
  return new ApiError(`The server answered with status ${response.status}.`, known);
}

/** The JSON of a Response. Raises ApiError where its body broke off, and AbortError. */
export async function read(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The answer broke off.", { requestId: response.headers.get("x-request-id") });
  }
}

/** The JSON of an answer. */
export async function call(method, path, options) {
  return read(await send(method, path, options));
}

export const get = (path, options) => call("GET", path, options);
export const post = (path, json, options) => call("POST", path, { json, ...options });
export const patch = (path, json, options) => call("PATCH", path, { json, ...options });
export const remove = (path, options) => call("DELETE", path, options);

/**
 * The events of a streamed answer, their data parsed; [DONE] ends them. onResponse: gets the Response before the first.
 * onComment: gets what the server says of its work between them.
 * An error that comes as an event is raised as an ApiError.
 * @returns {AsyncGenerator<{event: string, data: any}>}
 */
export async function* stream(path, { json, form, signal, onResponse, onComment, onUpload } = {}) {
  const response = await send("POST", path, { json, form, signal, onUpload });
  onResponse?.(response);
  const requestId = response.headers.get("x-request-id");
  try {
    for await (const { event, data } of eventsOf(response.body, onComment)) {
      if (data === "[DONE]") return;
      const parsed = JSON.parse(data);
      if (parsed?.error) {
        const { message, code = null, type = null, param = null } = parsed.error;
        throw new ApiError(String(message), { status: response.status, code, type, param, requestId });
      }
      yield { event, data: parsed };
    }
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") throw error;
    throw new ApiError("The answer broke off.", { requestId });
  }
}

/** Parameters of a query that are there, as `?a=b`; nothing for none. */
export function query(parameters) {
  const set = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
}
