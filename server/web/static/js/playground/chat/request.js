/** The body of a request, made of the settings and of the messages so far. Pure functions. */
import { bodyOf, fieldOf, jsonOf, PARAMETERS, problemsOf } from "./parameters.js";

/** The settings of a chat before anything is set. Texts stay as they are typed, JSON included. */
export const SETTINGS = {
  model: "",
  quality: "auto",
  compare: false,
  otherModel: "",
  otherQuality: "auto",
  system: "",
  stream: true,
  parameters: {},
  tools: [],
  toolChoice: "auto",
  parallel: true,
  form: { kind: "text", name: "answer", schema: "", strict: true },
};

export const QUALITIES = ["auto", "low", "medium", "high", "ultra"];

/** A tool as it is edited. parameters: a JSON Schema, as a text. */
export const TOOL = {
  name: "",
  description: "",
  parameters:
    '{\n  "type": "object",\n  "properties": {\n    "city": {"type": "string"}\n  },\n  "required": ["city"]\n}',
  strict: false,
};

/** The message as the API takes it. */
export function messageOf({ role, content, images = [], calls = [], callId }) {
  if (role === "tool") return { role, tool_call_id: callId, content };
  if (role === "assistant") {
    if (!calls.length) return { role, content };
    return {
      role,
      content: content || null,
      tool_calls: calls.map(({ id, name, arguments: text }) => ({
        id,
        type: "function",
        function: { name, arguments: text },
      })),
    };
  }
  if (!images.length) return { role, content };
  const parts = images.map((url) => ({ type: "image_url", image_url: { url } }));
  return { role, content: content ? [{ type: "text", text: content }, ...parts] : parts };
}

/** What is wrong with a tool, by field. others: the names of the other ones. */
export function toolProblems({ name, parameters }, others = []) {
  const problems = {};
  if (!/^[A-Za-z0-9_.-]{1,64}$/.test(name))
    problems.name = "Letters, digits, dots, dashes and underscores; 64 at most.";
  else if (others.includes(name)) problems.name = "Another tool has this name.";
  try {
    if (parameters.trim()) jsonOf(parameters);
  } catch (error) {
    problems.parameters = error.message;
  }
  return problems;
}

/** What is wrong with the form that the answer must have, or "". */
export function formProblem({ kind, schema }) {
  if (kind !== "json_schema") return "";
  if (!schema.trim()) return "Write the JSON Schema that the answer must obey.";
  try {
    jsonOf(schema);
    return "";
  } catch (error) {
    return error.message;
  }
}

/** All that keeps the settings from being sent, a line each. */
export function problemsOfAll(settings) {
  const parameters = Object.entries(problemsOf(settings.parameters)).map(([name, problem]) => {
    const { label } = PARAMETERS.find((one) => one.name === name);
    return `${label}: ${problem}`;
  });
  const tools = settings.tools.flatMap((tool, at) => {
    const others = settings.tools.filter((_, place) => place !== at).map((one) => one.name);
    return Object.values(toolProblems(tool, others)).map((problem) => `Tool ${tool.name || at + 1}: ${problem}`);
  });
  const form = formProblem(settings.form);
  return [...parameters, ...tools, ...(form ? [`Form of the answer: ${form}`] : [])];
}

function toolOf({ name, description, parameters, strict }) {
  const made = { name };
  if (description.trim()) made.description = description;
  if (parameters.trim()) made.parameters = JSON.parse(parameters);
  if (strict) made.strict = true;
  return { type: "function", function: made };
}

function toolsOf({ tools, toolChoice, parallel }) {
  const sound = tools.filter((tool) => !Object.keys(toolProblems(tool)).length);
  if (!sound.length) return {};
  const body = { tools: sound.map(toolOf) };
  const names = sound.map((tool) => tool.name);
  if (toolChoice.startsWith("function:")) {
    const name = toolChoice.slice("function:".length);
    if (names.includes(name)) body.tool_choice = { type: "function", function: { name } };
  } else if (toolChoice !== "auto") body.tool_choice = toolChoice;
  if (!parallel) body.parallel_tool_calls = false;
  return body;
}

function formOf({ form }) {
  if (form.kind === "text" || formProblem(form)) return {};
  if (form.kind === "json_object") return { response_format: { type: "json_object" } };
  const schema = { name: form.name || "answer", schema: JSON.parse(form.schema) };
  if (form.strict) schema.strict = true;
  return { response_format: { type: "json_schema", json_schema: schema } };
}

/** The request of a column: as code/code.js has it. messages: of the tree, from the first to the last. */
export function requestOf(settings, messages, column = 0) {
  const quality = column ? settings.otherQuality : settings.quality;
  const system = settings.system.trim() ? [{ role: "system", content: settings.system }] : [];
  const json = {
    model: column ? settings.otherModel : settings.model,
    messages: [...system, ...messages.map(messageOf)],
    ...bodyOf(settings.parameters),
    ...toolsOf(settings),
    ...formOf(settings),
  };
  if (quality !== "auto") json.quality = quality;
  if (quality === "high" || quality === "ultra") json.return_drafts = true;
  if (settings.stream) {
    json.stream = true;
    // Of an answer that is stopped, the last chunk tells what it has taken until then.
    json.stream_options = { include_usage: true, continuous_usage_stats: true };
  }
  return { path: "/v1/chat/completions", json, stream: settings.stream };
}

/** The calls at the end of a path that have no result yet, by their ids. */
export function openCalls(messages) {
  const at = messages.findLastIndex((one) => one.role === "assistant");
  if (at < 0) return [];
  const answered = new Set(messages.slice(at + 1).map((one) => one.callId));
  return (messages[at].calls ?? []).filter((call) => !answered.has(call.id));
}

/** How many fields differ from what a new chat has: what a fold hides. */
export function setIn(group, parameters) {
  return PARAMETERS.filter((one) => one.group === group).filter((one) => {
    try {
      return fieldOf(one, parameters[one.name]) !== undefined;
    } catch {
      return true;
    }
  }).length;
}
