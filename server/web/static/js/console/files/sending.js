/** A file on its way to /v1/files, watched. */
import { read, send } from "../../http.js";

/**
 * Returns the file as the API has it. fields: of the form, such as {purpose: "batch"}; onUpload: gets the bytes that are sent
 * and how many there are. Raises ApiError, and AbortError where `signal` says so.
 */
export async function sendFile(file, fields, { onUpload, signal }) {
  const form = new FormData();
  // What the server must know before it takes the bytes comes first.
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file, file.name);
  return read(await send("POST", "/v1/files", { form, onUpload, signal }));
}
