/** The input file of a batch: an example for each endpoint, and what is seen of a file before it is sent. Pure functions. */

/** What a batch can ask: its path, its name, the task of the models that do it. */
export const ENDPOINTS = [
  { path: "/v1/chat/completions", name: "Chat completions", task: "chat" },
  { path: "/v1/responses", name: "Responses", task: "chat" },
  { path: "/v1/completions", name: "Completions", task: "completion" },
  { path: "/v1/embeddings", name: "Embeddings", task: "embedding" },
  { path: "/v1/images/generations", name: "Images", task: "image" },
  { path: "/v1/audio/transcriptions", name: "Transcriptions", task: "transcription" },
  { path: "/v1/moderations", name: "Moderations", task: "moderation" },
];

export const WINDOWS = [
  ["1h", "1 hour"],
  ["6h", "6 hours"],
  ["24h", "24 hours"],
  ["3d", "3 days"],
  ["7d", "7 days"],
  ["14d", "14 days"],
];

const QUESTIONS = [
  "What is the capital of Japan?",
  "Name three fruits that are yellow.",
  "Translate into German: good morning.",
];
const PICTURES = ["a red heart", "a blue star", "a green tree"];

/** What the line at a place asks, as the endpoint has it. */
const BODIES = {
  "/v1/chat/completions": (at) => ({ messages: [{ role: "user", content: QUESTIONS[at] }], max_tokens: 100 }),
  "/v1/responses": (at) => ({ input: QUESTIONS[at], max_output_tokens: 100 }),
  "/v1/completions": (at) => ({ prompt: QUESTIONS[at], max_tokens: 100 }),
  "/v1/embeddings": (at) => ({ input: QUESTIONS[at] }),
  "/v1/images/generations": (at) => ({ prompt: PICTURES[at], response_format: "b64_json" }),
  "/v1/audio/transcriptions": (at) => ({ file_id: `file-of-recording-${at + 1}` }),
  "/v1/moderations": (at) => ({ input: QUESTIONS[at] }),
};

/** Three lines that an input file may have. */
export function sampleOf(endpoint, model) {
  return [0, 1, 2]
    .map((at) => ({
      custom_id: `request-${at + 1}`,
      method: "POST",
      url: endpoint,
      body: { model, ...BODIES[endpoint](at) },
    }))
    .map((line) => JSON.stringify(line))
    .join("\n");
}

/** How much of a file is looked at before it is sent, in bytes. */
export const LOOKED_AT = 64 * 1024;

/**
 * What the beginning of a file says: {endpoint, model, problem}. endpoint, model: of its first line, null where they are not
 * said. problem: why the server would refuse the file, or "". The server checks the whole of it.
 * @param {string} text the file's first LOOKED_AT bytes
 * @param {boolean} whole whether that is all of it
 */
export function beginningOf(text, whole) {
  const lines = text.replace(/^\ufeff/, "").split("\n");
  // The last line may be cut off in its middle.
  const sound = (whole ? lines : lines.slice(0, -1)).map((line, at) => [line.trim(), at + 1]).filter(([line]) => line);
  const found = { endpoint: null, model: null, problem: "" };
  if (!sound.length) return whole ? { ...found, problem: "The file is empty." } : found;
  const endpoints = new Set();
  for (const [line, at] of sound) {
    let request;
    try {
      request = JSON.parse(line);
    } catch (error) {
      return { ...found, problem: `Line ${at} is no JSON: ${error.message}` };
    }
    if (request === null || typeof request !== "object" || Array.isArray(request))
      return { ...found, problem: `Line ${at} is no JSON object.` };
    found.endpoint ??= ENDPOINTS.some(({ path }) => path === request.url) ? request.url : null;
    found.model ??= typeof request.body?.model === "string" ? request.body.model : null;
    endpoints.add(request.url);
    if (typeof request.custom_id !== "string" || !request.custom_id)
      return { ...found, problem: `Line ${at} has no custom_id, by which its answer is found.` };
  }
  if (endpoints.size > 1)
    return {
      ...found,
      problem: `Its lines go to several URLs: ${[...endpoints].slice(0, 3).join(", ")}. A batch has one.`,
    };
  return found;
}
