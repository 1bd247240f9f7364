/** What the OpenAI SDKs have a method for, and which of our fields that method knows. Both SDKs bear the same names. */

/** By path: the method, and the fields of its signature in openai 3.54 for Python, which refuses unknown ones. */
export const METHODS = {
  "/v1/chat/completions": {
    method: "chat.completions.create",
    fields:
      "messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata modalities n parallel_tool_calls prediction presence_penalty prompt_cache_key reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options",
  },
  "/v1/responses": {
    method: "responses.create",
    fields:
      "access_programs background background_options context_management conversation image include input instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user",
  },
  "/v1/images/generations": {
    method: "images.generate",
    fields:
      "prompt background model moderation n output_compression output_format partial_images quality response_format size stream style user",
  },
  "/v1/images/edits": {
    method: "images.edit",
    fields:
      "image prompt background input_fidelity mask model n output_compression output_format partial_images quality response_format size stream user",
  },
  "/v1/images/variations": { method: "images.createVariation", fields: "image model n response_format size user" },
  "/v1/audio/transcriptions": {
    method: "audio.transcriptions.create",
    fields:
      "file model chunking_strategy include language prompt response_format stream temperature timestamp_granularities",
  },
  "/v1/audio/translations": {
    method: "audio.translations.create",
    fields: "file model prompt response_format temperature",
  },
  "/v1/audio/speech": {
    method: "audio.speech.create",
    fields: "input model voice instructions response_format speed stream_format",
  },
  "/v1/embeddings": { method: "embeddings.create", fields: "input model dimensions encoding_format user" },
};

/** The method, its arguments, and what goes into the body beside them. */
export function splitFields(path, values) {
  const known = new Set(METHODS[path].fields.split(" "));
  const own = Object.fromEntries(Object.entries(values).filter(([name]) => known.has(name)));
  const extra = Object.fromEntries(Object.entries(values).filter(([name]) => !known.has(name)));
  return { method: METHODS[path].method, own, extra };
}

/** A file that a form sends; another object with such a name is data. */
export class Sent {
  constructor(file) {
    this.file = file;
  }
}

/** The fields of a form as an object, its files as Sent: `name[]` and names that come more than once are lists. */
export function formValues(form) {
  const values = {};
  for (const [raw, text] of form) {
    const name = raw.replace(/\[\]$/, "");
    // The SDKs ask whether it is true.
    const value = name === "stream" ? String(text) === "true" : typeof text === "object" ? new Sent(text.file) : text;
    if (Object.hasOwn(values, name) || raw.endsWith("[]")) values[name] = [...(values[name] ?? []), value].flat();
    else values[name] = value;
  }
  return values;
}
