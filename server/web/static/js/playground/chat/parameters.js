/**
 * All that a request may say of how its answer is made, one field of the API each: how it is set in the form, and what
 * becomes of it in the body. Pure functions. A field that is empty is not sent: the server and the model's config decide.
 */

/** kind: slider, number, text, lines (a text a line), numbers (whole ones, with commas), json, switch, choice.
 * standard of a slider: where it stands while the field is empty. of a switch: what the API takes it for when it is not
 * sent. group: the fold that it stands in; "" for none. */
export const PARAMETERS = [
  {
    name: "temperature",
    label: "Temperature",
    kind: "slider",
    min: 0,
    max: 2,
    step: 0.05,
    standard: 1,
    group: "",
    hint: "0: always the likeliest word. Higher: more varied.",
  },
  {
    name: "max_completion_tokens",
    label: "Longest answer, in tokens",
    kind: "number",
    min: 1,
    step: 1,
    group: "",
  },
  {
    name: "reasoning_effort",
    label: "Reasoning effort",
    kind: "choice",
    options: ["none", "minimal", "low", "medium", "high", "xhigh", "max"],
    group: "",
    hint: "For models that reason before they answer.",
  },
  { name: "top_p", label: "Top p", kind: "slider", min: 0, max: 1, step: 0.01, standard: 1, group: "Sampling" },
  {
    name: "top_k",
    label: "Top k",
    kind: "number",
    min: -1,
    step: 1,
    group: "Sampling",
    hint: "Draw from so many of the likeliest tokens; -1: from all.",
  },
  { name: "min_p", label: "Min p", kind: "slider", min: 0, max: 1, step: 0.01, standard: 0, group: "Sampling" },
  {
    name: "frequency_penalty",
    label: "Frequency penalty",
    kind: "slider",
    min: -2,
    max: 2,
    step: 0.1,
    standard: 0,
    group: "Sampling",
  },
  {
    name: "presence_penalty",
    label: "Presence penalty",
    kind: "slider",
    min: -2,
    max: 2,
    step: 0.1,
    standard: 0,
    group: "Sampling",
  },
  {
    name: "repetition_penalty",
    label: "Repetition penalty",
    kind: "slider",
    min: 0.05,
    max: 2,
    step: 0.05,
    standard: 1,
    group: "Sampling",
  },
  {
    name: "seed",
    label: "Seed",
    kind: "number",
    step: 1,
    group: "Sampling",
    hint: "The same seed and settings give the same answer.",
  },
  {
    name: "n",
    label: "Answers at once",
    kind: "number",
    min: 1,
    max: 128,
    step: 1,
    group: "Sampling",
    hint: "Each becomes a branch; go through them with the arrows.",
  },
  {
    name: "stop",
    label: "Stop at",
    kind: "lines",
    most: 4,
    group: "Length and end",
    hint: "A text a line, four at most; \\n stands for a new line.",
  },
  { name: "min_tokens", label: "Shortest answer, in tokens", kind: "number", min: 0, step: 1, group: "Length and end" },
  {
    name: "stop_token_ids",
    label: "Stop at token ids",
    kind: "numbers",
    group: "Length and end",
    hint: "Numbers with commas between them.",
  },
  {
    name: "ignore_eos",
    label: "Go on past the model's own end",
    kind: "switch",
    standard: false,
    group: "Length and end",
  },
  {
    name: "include_stop_str_in_output",
    label: "Keep the text that it stopped at",
    kind: "switch",
    standard: false,
    group: "Length and end",
  },
  { name: "logprobs", label: "Log-probabilities", kind: "switch", standard: false, group: "Tokens" },
  {
    name: "top_logprobs",
    label: "Alternatives for each token",
    kind: "number",
    min: 0,
    max: 20,
    step: 1,
    group: "Tokens",
    hint: "Needs log-probabilities.",
  },
  {
    name: "prompt_logprobs",
    label: "Log-probabilities of the prompt",
    kind: "number",
    min: 0,
    max: 20,
    step: 1,
    group: "Tokens",
    hint: "Alternatives for each token. Only without streaming.",
  },
  {
    name: "logit_bias",
    label: "Bias by token id",
    kind: "json",
    group: "Tokens",
    hint: 'Such as {"42": -100}: -100 forbids a token, 100 forces it.',
  },
  {
    name: "bad_words",
    label: "Words that may not come",
    kind: "lines",
    most: 64,
    group: "Tokens",
    hint: "One a line.",
  },
  {
    name: "allowed_token_ids",
    label: "Only these token ids",
    kind: "numbers",
    group: "Tokens",
    hint: "Numbers with commas between them.",
  },
  { name: "return_token_ids", label: "Send token ids", kind: "switch", standard: false, group: "Tokens" },
  {
    name: "return_tokens_as_token_ids",
    label: "Write tokens as their ids",
    kind: "switch",
    standard: false,
    group: "Tokens",
  },
  {
    name: "skip_special_tokens",
    label: "Leave out special tokens",
    kind: "switch",
    standard: true,
    group: "Tokens",
  },
  {
    name: "spaces_between_special_tokens",
    label: "Spaces between special tokens",
    kind: "switch",
    standard: true,
    group: "Tokens",
  },
  { name: "include_reasoning", label: "Send the reasoning", kind: "switch", standard: true, group: "Prompt" },
  {
    name: "truncate_prompt_tokens",
    label: "Read only the last tokens",
    kind: "number",
    min: -1,
    step: 1,
    group: "Prompt",
    hint: "-1: as many as there is room for.",
  },
  {
    name: "chat_template_kwargs",
    label: "Arguments of the chat template",
    kind: "json",
    group: "Prompt",
    hint: 'Such as {"enable_thinking": false}.',
  },
  {
    name: "documents",
    label: "Documents",
    kind: "json",
    list: true,
    group: "Prompt",
    hint: 'For templates that take them: [{"title": "…", "text": "…"}].',
  },
  { name: "cache_salt", label: "Cache salt", kind: "text", group: "Server", hint: "Keeps this prompt's cache apart." },
  {
    name: "priority",
    label: "Priority",
    kind: "number",
    min: 0,
    step: 1,
    group: "Server",
    hint: "Above 0: others go first.",
  },
  {
    name: "extra",
    label: "Further fields",
    kind: "json",
    group: "Server",
    hint: 'Added to the request as they are, such as {"structured_outputs": {"choice": ["yes", "no"]}}.',
  },
];

export const GROUPS = [...new Set(PARAMETERS.map((one) => one.group))].filter(Boolean);

const isEmpty = (value) => value === null || value === undefined || value === "";

/** A field as the API has it; undefined where nothing is sent. Throws an Error that says what is wrong with it. */
export function fieldOf(parameter, set) {
  if (isEmpty(set)) return undefined;
  switch (parameter.kind) {
    case "slider":
    case "number":
      return numberOf(parameter, set);
    case "switch":
      return set === parameter.standard ? undefined : set;
    case "lines":
      return linesOf(parameter, set);
    case "numbers":
      return wholeNumbersOf(set);
    case "json":
      return jsonOf(set, parameter.list ? "list" : "object");
    default:
      return set;
  }
}

function numberOf({ min, max, step }, set) {
  if (typeof set !== "number" || Number.isNaN(set)) throw new Error("This is no number.");
  if (min !== undefined && set < min) throw new Error(`${min} is the least.`);
  if (max !== undefined && set > max) throw new Error(`${max} is the most.`);
  if (step === 1 && !Number.isInteger(set)) throw new Error("It takes whole numbers.");
  return set;
}

const ESCAPES = { n: "\n", t: "\t", "\\": "\\" };

function linesOf({ most }, set) {
  const lines = set
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.replace(/\\([nt\\])/g, (_, letter) => ESCAPES[letter]));
  if (lines.length > most) throw new Error(`${most} lines at most.`);
  return lines.length ? lines : undefined;
}

function wholeNumbersOf(set) {
  const words = set.split(/[\s,]+/).filter(Boolean);
  if (!words.every((word) => /^\d+$/.test(word)))
    throw new Error("Write whole numbers with commas between them: 13, 198.");
  return words.length ? words.map(Number) : undefined;
}

/** A JSON text of an object, or of a list, as a value. Throws an Error that says what is wrong with it. */
export function jsonOf(text, wanted = "object") {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`This is no JSON: ${error.message}`);
  }
  const found = Array.isArray(value) ? "list" : value === null ? "null" : typeof value;
  if (found !== wanted)
    throw new Error(wanted === "list" ? "It must be a list: […]." : 'It must be an object: {"name": …}.');
  return value;
}

/** What is wrong with the fields that are set, by name. */
export function problemsOf(settings) {
  const problems = {};
  for (const parameter of PARAMETERS) {
    try {
      fieldOf(parameter, settings[parameter.name]);
    } catch (error) {
      problems[parameter.name] = error.message;
    }
  }
  return problems;
}

/** The fields of a request's body. Those that are wrong are left out; see problemsOf. */
export function bodyOf(settings) {
  const body = {};
  for (const parameter of PARAMETERS) {
    try {
      const value = fieldOf(parameter, settings[parameter.name]);
      if (value === undefined) continue;
      if (parameter.name === "extra") Object.assign(body, value);
      else body[parameter.name] = value;
    } catch {
      // It is shown at the field, and nothing is sent before it is mended.
    }
  }
  if (!body.logprobs) delete body.top_logprobs;
  return body;
}
