/**
 * Chats as a file of JSON, to be kept elsewhere and read again. There is no key in it: a chat has none. Pure functions.
 *
 * The form: {"sagehold": "chats", "version": 1, "exported": an ISO time, "chats": […]}.
 */
import { SETTINGS } from "./request.js";
import { ROOT } from "./tree.js";

const KIND = "chats";
const VERSION = 1;
const ROLES = ["user", "assistant", "tool"];
/** No numbers: JavaScript puts those before all other names, and the order of messages is when they were made. */
const ID = /^[A-Za-z][\w-]{0,63}$/;
const PICTURE = /^data:image\/(?:png|jpeg|webp|gif|bmp|avif);base64,[A-Za-z0-9+/=]*$/;

export function exported(chats, at = new Date()) {
  return JSON.stringify({ sagehold: KIND, version: VERSION, exported: at.toISOString(), chats }, null, 1);
}

/** The chats of a file. newId: makes an id. Throws an Error that says in plain words what is wrong with the file. */
export function imported(text, newId) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error("This is no JSON file, or it is cut off.");
  }
  if (file?.sagehold !== KIND) throw new Error("This file holds no chats that were exported here.");
  if (file.version !== VERSION)
    throw new Error(`The file has version ${file.version}; this page reads version ${VERSION}.`);
  if (!Array.isArray(file.chats) || !file.chats.length) throw new Error("There is no chat in the file.");
  return file.chats.map((chat, at) => {
    try {
      return checked(chat, newId);
    } catch (error) {
      throw new Error(`Chat ${at + 1} can't be read: ${error.message} Nothing was imported.`);
    }
  });
}

const isText = (value) => typeof value === "string";
const isNumber = (value) => Number.isFinite(value);
const isRecord = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** A chat with nothing in it but what this page knows, under a new id: it may be there already. */
function checked(chat, newId) {
  if (!isRecord(chat) || !isRecord(chat.tree) || !isRecord(chat.tree.messages)) throw new Error("It has no messages.");
  const messages = {};
  for (const [id, message] of Object.entries(chat.tree.messages)) {
    // A message of the name ROOT would be its own parent, and the way through the tree would not end.
    if (!ID.test(id) || id === ROOT) throw new Error(`A message can't have the id ${id.slice(0, 40)}.`);
    const found = messageFrom(id, message);
    if (found.parent !== null && !Object.hasOwn(messages, found.parent))
      throw new Error(`The message ${id.slice(0, 40)} follows one that is not before it.`);
    messages[id] = found;
  }
  const time = Date.now();
  return {
    id: newId(),
    title: isText(chat.title) ? chat.title.slice(0, 200) : "",
    named: chat.named === true,
    created: isNumber(chat.created) ? chat.created : time,
    changed: time,
    settings: settingsFrom(chat.settings),
    tree: { messages, chosen: [0, 1].map((column) => chosenFrom(chat.tree.chosen?.[column], messages)) },
  };
}

function messageFrom(id, message) {
  if (!isRecord(message) || !ROLES.includes(message.role)) throw new Error("A message has no role that is known.");
  if (!isText(message.content)) throw new Error("A message has no text.");
  const found = {
    id,
    parent: isText(message.parent) ? message.parent : null,
    role: message.role,
    content: message.content,
    at: isNumber(message.at) ? message.at : 0,
  };
  if (message.images !== undefined) {
    if (!Array.isArray(message.images) || !message.images.every((one) => isText(one) && PICTURE.test(one)))
      throw new Error("A picture in it is none.");
    found.images = message.images;
  }
  if (message.calls !== undefined) {
    const sound = (call) => isRecord(call) && isText(call.id) && isText(call.name) && isText(call.arguments);
    if (!Array.isArray(message.calls) || !message.calls.every(sound))
      throw new Error("A call of a tool is incomplete.");
    found.calls = message.calls.map(({ id: callId, name, arguments: text }) => ({ id: callId, name, arguments: text }));
  }
  for (const name of ["callId", "name", "reasoning", "model", "quality", "finish", "requestId", "reason"]) {
    if (isText(message[name])) found[name] = message[name];
  }
  for (const name of ["edited", "stopped", "json"]) if (message[name] === true) found[name] = true;
  // An answer that was being written when the file was made is not written any further.
  if (message.unfinished) found.stopped = true;
  if (isRecord(message.usage) && isNumber(message.usage.prompt_tokens)) found.usage = usageFrom(message.usage);
  if (isRecord(message.times) && isNumber(message.times.total)) found.times = timesFrom(message.times);
  if (isRecord(message.cost) && Number.isFinite(Number(message.cost.amount)))
    found.cost = { amount: String(message.cost.amount), paid: message.cost.paid === true };
  if (Array.isArray(message.tokens) && message.tokens.every(isToken)) found.tokens = message.tokens.map(tokenFrom);
  if (isRecord(message.error) && isText(message.error.message)) found.error = { message: message.error.message };
  return found;
}

const isToken = (token) => isRecord(token) && isText(token.token) && isNumber(token.logprob);
const bare = ({ token, logprob }) => ({ token, logprob });

function tokenFrom(token) {
  const others = Array.isArray(token.top_logprobs) ? token.top_logprobs.filter(isToken) : [];
  return { ...bare(token), top_logprobs: others.map(bare) };
}

function timesFrom({ toFirst, total, rate }) {
  return { toFirst: isNumber(toFirst) ? toFirst : null, total, rate: isNumber(rate) ? rate : null };
}

function numbersOf(record, names) {
  return Object.fromEntries(names.filter((name) => isNumber(record[name])).map((name) => [name, record[name]]));
}

const USED = ["prompt_tokens", "completion_tokens", "total_tokens", "credits"];
const DRAFT_NUMBERS = ["tokens", "votes", "likelihood", "right"];

function usageFrom(usage) {
  const found = { completion_tokens: 0, ...numbersOf(usage, USED) };
  if (isNumber(usage.prompt_tokens_details?.cached_tokens))
    found.prompt_tokens_details = { cached_tokens: usage.prompt_tokens_details.cached_tokens };
  if (isNumber(usage.completion_tokens_details?.reasoning_tokens))
    found.completion_tokens_details = { reasoning_tokens: usage.completion_tokens_details.reasoning_tokens };
  const { quality } = usage;
  if (!isRecord(quality) || !isText(quality.mode) || !Array.isArray(quality.tokens_by_pass)) return found;
  const list = (value) => (Array.isArray(value) ? value : []);
  found.quality = {
    mode: quality.mode,
    ...numbersOf({ passes: 1, candidates: 1, ...quality }, ["passes", "candidates"]),
    notes: list(quality.notes).filter(isText),
    tokens_by_pass: quality.tokens_by_pass
      .filter((one) => isRecord(one) && isText(one.pass))
      .map((one) => ({ pass: one.pass, prompt_tokens: 0, completion_tokens: 0, ...numbersOf(one, USED) })),
  };
  const drafts = list(quality.drafts).filter((one) => isRecord(one) && isText(one.pass) && isText(one.text));
  if (drafts.length) {
    found.quality.drafts = drafts.map((one) => ({
      pass: one.pass,
      text: one.text,
      chosen: one.chosen === true,
      ...numbersOf(one, DRAFT_NUMBERS),
    }));
  }
  return found;
}

function chosenFrom(chosen, messages) {
  if (!isRecord(chosen)) return {};
  return Object.fromEntries(Object.entries(chosen).filter(([, id]) => isText(id) && Object.hasOwn(messages, id)));
}

/** Of the settings those that have the type that they need. */
function settingsFrom(settings) {
  const found = structuredClone(SETTINGS);
  if (!isRecord(settings)) return found;
  for (const [name, standard] of Object.entries(SETTINGS)) {
    const given = settings[name];
    if (typeof given === typeof standard && Array.isArray(given) === Array.isArray(standard) && given !== null)
      found[name] = given;
  }
  const isTool = (tool) => isRecord(tool) && isText(tool.name) && isText(tool.description) && isText(tool.parameters);
  found.tools = found.tools.filter(isTool);
  const { kind, name, schema } = found.form;
  if (![kind, name, schema].every(isText)) found.form = structuredClone(SETTINGS.form);
  return found;
}
