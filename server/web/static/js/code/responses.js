/**
 * The request of a chat as one for /v1/responses that asks for the same answer. Pure functions.
 *
 * Shapes: the OpenAI API's ResponseCreateParams, openai 3.54. What that has not, this server takes beside it where it does not
 * contradict a response, such as `seed`.
 */
import { METHODS } from "./sdk.js";

/** Fields that a response can't have: it is one answer, and its usage and reasoning always come along. */
const LACKING = new Set(
  "n prompt_logprobs return_token_ids return_tokens_as_token_ids include_reasoning functions function_call prediction modalities audio web_search_options".split(
    " ",
  ),
);
/** Fields of the Responses API. */
const KNOWN = new Set(METHODS["/v1/responses"].fields.split(" "));
/** Left out without a word, since a response does what it asks for by itself. */
const IMPLIED = new Set(["stream_options"]);

/** Whoever adds fields of their own may have written anything: what is no such thing stays as it is. */
const isRecord = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const each = (value, made) => (Array.isArray(value) ? value.map((one) => (isRecord(one) ? made(one) : one)) : value);

function partOf(part) {
  const { type, text, image_url: image, file } = part;
  if (type === "text") return { type: "input_text", text };
  if (type === "image_url" && isRecord(image))
    return { type: "input_image", image_url: image.url, detail: image.detail ?? "auto" };
  if (type === "file" && isRecord(file)) return { type: "input_file", ...file };
  return part;
}

/** What the model has said is a part of its own kind. */
const saidOf = (part) => (part.type === "text" ? { type: "output_text", text: part.text, annotations: [] } : part);

const callOf = ({ id, function: called }) => ({
  type: "function_call",
  call_id: id,
  name: called?.name,
  arguments: called?.arguments,
});

/** The items that a message becomes. */
function itemsOf(message) {
  if (!isRecord(message)) return [message];
  const { role, content, tool_calls: calls, tool_call_id: callId } = message;
  if (role === "tool") return [{ type: "function_call_output", call_id: callId, output: each(content, partOf) }];
  if (role !== "assistant") return [{ role, content: each(content, partOf) }];
  const said = content?.length ? [{ role, content: each(content, saidOf) }] : [];
  return [...said, ...(Array.isArray(calls) ? each(calls, callOf) : [])];
}

/** The messages as `instructions` and `input`: a system prompt, and a lone question, are texts there. */
function conversationOf(messages) {
  if (!Array.isArray(messages)) return { input: messages };
  const [first, ...others] = messages;
  const instructed = first?.role === "system" && typeof first.content === "string" && others.length > 0;
  const rest = instructed ? others : messages;
  const [only] = rest;
  const alone = rest.length === 1 && only?.role === "user" && typeof only.content === "string";
  return {
    ...(instructed && { instructions: first.content }),
    input: alone ? only.content : rest.flatMap(itemsOf),
  };
}

/** Chats take a tool for lenient where it says nothing, responses for strict. */
function toolOf(tool) {
  const { type, function: made } = tool;
  if (type !== "function" || !isRecord(made)) return tool;
  const { name, description, parameters, strict } = made;
  return {
    type,
    name,
    ...(description !== undefined && { description }),
    parameters: parameters ?? { type: "object", properties: {} },
    strict: strict ?? false,
  };
}

const choiceOf = (choice) => (isRecord(choice?.function) ? { type: choice.type, name: choice.function.name } : choice);

const formatOf = (format) => (isRecord(format?.json_schema) ? { type: format.type, ...format.json_schema } : format);

/** Fields that become others: what goes into the body, by the value. */
const MOVED = {
  max_tokens: (value) => ({ max_output_tokens: value }),
  max_completion_tokens: (value) => ({ max_output_tokens: value }),
  reasoning_effort: (value) => ({ reasoning: { effort: value } }),
  tools: (value) => ({ tools: each(value, toolOf) }),
  tool_choice: (value) => ({ tool_choice: choiceOf(value) }),
  logprobs: (value) => (value ? { include: ["message.output_text.logprobs"] } : {}),
};

/**
 * @param {{path: string, json: object, stream?: boolean}} request of a chat, as code.js has it
 * @returns {{request: object, lacking: string[], added: string[]}} lacking: fields that were left out. added: fields that the
 * Responses API does not have, and this server takes.
 */
export function asResponse({ json, stream = false }) {
  const body = { model: json.model, ...conversationOf(json.messages) };
  const text = {};
  const lacking = [];
  const added = [];
  for (const [name, value] of Object.entries(json)) {
    if (name === "messages" || IMPLIED.has(name)) continue;
    if (name === "response_format") text.format = formatOf(value);
    else if (name === "verbosity") text.verbosity = value;
    else if (MOVED[name]) Object.assign(body, MOVED[name](value));
    else if (LACKING.has(name)) lacking.push(name);
    else {
      body[name] = value;
      if (!KNOWN.has(name)) added.push(name);
    }
  }
  if (Object.keys(text).length) body.text = text;
  return { request: { path: "/v1/responses", json: body, stream }, lacking, added };
}

/** What is to be said of it, a sentence each. */
export function remarksOn({ lacking, added }) {
  const named = (names) => names.join(", ");
  return [
    ...(lacking.length ? [`Left out, since a response has no such field: ${named(lacking)}.`] : []),
    ...(added.length ? [`This server takes ${named(added)} too; the API of OpenAI has no such field.`] : []),
  ];
}
