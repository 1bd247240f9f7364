/**
 * The chunks of a streamed answer, put together; and whole answers in the same form. Pure functions but for the clock that
 * is handed in: milliseconds.
 */

/** One choice of an answer. tokens: with log-probabilities, as the API has them; null without. */
export const choice = () => ({ content: "", reasoning: "", calls: [], tokens: null, tokenIds: null, finish: null });

/** Puts the chunks of one request together. choices: by index. first, last: when the first and the last piece of text, of
 * reasoning or of a call came; null before. */
export class Answering {
  constructor(now) {
    this.now = now;
    this.begun = now();
    this.first = null;
    this.last = null;
    this.choices = [];
    this.usage = null;
    this.prompt = null;
  }

  /** @returns {number[]} the choices that the chunk has changed */
  add(chunk) {
    if (chunk.usage) this.usage = chunk.usage;
    this.#readPrompt(chunk);
    const changed = [];
    for (const { index, delta, logprobs, finish_reason: finish, token_ids: ids } of chunk.choices ?? []) {
      this.choices[index] ??= choice();
      const one = this.choices[index];
      if (this.#write(one, delta ?? {})) {
        this.last = this.now();
        this.first ??= this.last;
      }
      if (logprobs?.content) {
        // Grown in place: a copy for each token makes long answers slow.
        one.tokens ??= [];
        one.tokens.push(...logprobs.content);
      }
      if (ids) {
        one.tokenIds ??= [];
        one.tokenIds.push(...ids);
      }
      if (finish) one.finish = finish;
      changed.push(index);
    }
    return changed;
  }

  /** A whole answer, which came without streaming. */
  take(answer) {
    this.usage = answer.usage ?? null;
    this.#readPrompt(answer);
    this.last = this.first = this.now();
    for (const { index, message, logprobs, finish_reason: finish, token_ids: ids } of answer.choices) {
      const one = { ...choice(), tokens: logprobs?.content ?? null, tokenIds: ids ?? null, finish };
      this.#write(one, { ...message, tool_calls: message.tool_calls?.map((call, at) => ({ ...call, index: at })) });
      this.choices[index] = one;
    }
  }

  #readPrompt(part) {
    if (part.prompt_token_ids || part.prompt_logprobs) {
      this.prompt = { ids: part.prompt_token_ids ?? null, logprobs: part.prompt_logprobs ?? null };
    }
  }

  /** Whether there was anything to write: a chunk of a role alone is no first token. */
  #write(one, { content, reasoning, reasoning_content: alike, tool_calls: calls }) {
    one.content += content ?? "";
    one.reasoning += reasoning ?? alike ?? "";
    for (const { index, id, function: made } of calls ?? []) {
      one.calls[index] ??= { id: "", name: "", arguments: "" };
      const call = one.calls[index];
      if (id) call.id = id;
      call.name += made?.name ?? "";
      call.arguments += made?.arguments ?? "";
    }
    return Boolean(content || reasoning || alike || calls?.length);
  }
}
