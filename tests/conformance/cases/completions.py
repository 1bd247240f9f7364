"""Completions. POST /v1/completions."""

import json
from typing import Any

from openai.types import Completion

from tests.conformance.asks import completion, datas, read_completion
from tests.conformance.case import Failed, case
from tests.conformance.expect import among, equal, error, ok, refused_or_ok, short, that
from tests.conformance.target import Target

PROMPT = "The capital of Japan is"


def asked(target: Target, prompt: Any = PROMPT, **fields: Any) -> Completion:
    return read_completion(target, completion(target, prompt, **fields))


def chunks(target: Target, prompt: Any = PROMPT, **fields: Any) -> list[Completion]:
    """Of a stream; a chunk's finish_reason is null but in the last, for which the SDK's type has no place."""
    found = []
    for data in datas(completion(target, prompt, stream=True, **fields)):
        body = json.loads(data)
        for choice in body.get("choices") or ():
            if choice.get("finish_reason") is None:
                choice["finish_reason"] = "stop"
        found.append(target.strict(Completion, json.dumps(body), "a chunk"))
    return found


def reasons(target: Target, **fields: Any) -> list[str]:
    answer = completion(target, stream=True, **fields)
    found = [choice for data in datas(answer) for choice in json.loads(data)["choices"]]
    return [choice["finish_reason"] for choice in found if choice["finish_reason"]]


@case("OpenAI", needs="chat")
def form(target: Target) -> None:
    """The answer is a `text_completion` as the SDK declares it, with usage that sums up."""
    value = asked(target)
    that(value.id.startswith("cmpl-"), f"the id is {value.id}")
    equal(value.model, target.model("chat"), "model")
    found = value.usage
    that(found and found.total_tokens == found.prompt_tokens + found.completion_tokens, f"usage is {found}")


@case("OpenAI", needs="chat")
def keys(target: Target) -> None:
    """A choice has text, index, logprobs and finish_reason, null or not."""
    choice = ok(completion(target)).json()["choices"][0]
    equal(sorted({"text", "index", "logprobs", "finish_reason"} - choice.keys()), [], "the missing keys")


@case("OpenAI", needs="chat")
def default_limit(target: Target) -> None:
    """Without max_tokens the answer has at most 16 tokens."""
    value = asked(target, "One, two, three, four,", max_tokens=..., ignore_eos=True)
    equal(value.usage and value.usage.completion_tokens, 16, "completion_tokens")
    equal(value.choices[0].finish_reason, "length", "finish_reason")


@case("OpenAI", needs="chat", alone=True)
def several_prompts(target: Target) -> None:
    """A list of prompts gives a choice for each, in order; usage counts all."""
    value = asked(target, [PROMPT, "One, two, three,"], max_tokens=3)
    equal([choice.index for choice in value.choices], [0, 1], "the indices")
    single = asked(target, "One, two, three,", max_tokens=3)
    equal(value.choices[1].text, single.choices[0].text, "the second choice")


@case("OpenAI", needs="chat")
def prompts_by_choices(target: Target) -> None:
    """Two prompts with `n: 2` give four choices, those of the first prompt first."""
    value = asked(target, [PROMPT, "One, two, three,"], n=2, max_tokens=2)
    equal([choice.index for choice in value.choices], [0, 1, 2, 3], "the indices")
    equal(value.choices[0].text, value.choices[1].text, "the second greedy choice of the first prompt")


def ids(target: Target) -> list[int]:
    """The tokens of the prompt, as the server itself cuts it."""
    body = ok(completion(target, echo=True, return_token_ids=True, max_tokens=1)).json()
    found = body["choices"][0].get("prompt_token_ids") or body.get("prompt_token_ids")
    return list(found or [504, 2986, 282])


@case("OpenAI", needs="chat")
def token_prompt(target: Target) -> None:
    """A list of token ids is a prompt, of as many tokens."""
    given = ids(target)
    found = asked(target, given).usage
    equal(found and found.prompt_tokens, len(given), "prompt_tokens")


@case("OpenAI", needs="chat")
def token_prompts(target: Target) -> None:
    """A list of lists of token ids is several prompts."""
    given = ids(target)
    equal(len(asked(target, [given, given[:2]], max_tokens=2).choices), 2, "the number of choices")


@case("OpenAI", needs="chat")
def echo(target: Target) -> None:
    """`echo` puts the prompt before the answer."""
    that(asked(target, echo=True).choices[0].text.startswith(PROMPT), "the text does not begin with the prompt")


@case("OpenAI", needs="chat")
def logprobs(target: Target) -> None:
    """`logprobs: 2`: tokens, token_logprobs, top_logprobs, text_offset are of one length; the tokens are the text."""
    choice = asked(target, logprobs=2).choices[0]
    found = choice.logprobs
    if found is None:
        raise Failed("no logprobs")
    tokens = found.tokens or []
    equal("".join(tokens), choice.text, "the tokens")
    for name in ("token_logprobs", "top_logprobs", "text_offset"):
        equal(len(getattr(found, name) or ()), len(tokens), f"the length of {name}")
    that(all(2 <= len(one) <= 3 for one in found.top_logprobs or ()), f"top_logprobs are {short(found.top_logprobs)}")
    places = [sum(map(len, tokens[:place])) for place in range(len(tokens))]
    first = (found.text_offset or [0])[0]
    equal([one - first for one in found.text_offset or ()], places, "the text offsets")


@case("OpenAI, sagehold", needs="chat")
def prompt_logprobs(target: Target) -> None:
    """`echo` with `max_tokens: 0` and logprobs gives the prompt's: what lm-eval's `local-completions` reads."""
    value = asked(target, echo=True, max_tokens=0, logprobs=1)
    choice = value.choices[0]
    equal(choice.text, PROMPT, "the text")
    found = choice.logprobs
    if found is None:
        raise Failed("no logprobs")
    equal("".join(found.tokens or ()), PROMPT, "the tokens")
    that(all(one <= 0 for one in found.token_logprobs or ()), "a log-probability is above 0")
    equal(len(found.token_logprobs or ()), len(found.tokens or ()), "the number of log-probabilities")
    equal(value.usage and value.usage.completion_tokens, 0, "completion_tokens")


@case("OpenAI, sagehold", needs="chat")
def first_token_has_none(target: Target) -> None:
    """With `echo`, the first token's log-probability is null: nothing comes before it."""
    body = ok(completion(target, echo=True, max_tokens=0, logprobs=1)).json()
    equal(body["choices"][0]["logprobs"]["token_logprobs"][0], None, "the first log-probability")


@case("OpenAI", needs="chat", alone=True)
def stop_string(target: Target) -> None:
    """A stop string ends the answer and is not in it."""
    whole = asked(target, max_tokens=12).choices[0].text
    word = whole.split()[0][:3]
    choice = asked(target, max_tokens=12, stop=[word]).choices[0]
    that(word not in choice.text, f"the text is {choice.text!r}")
    equal(choice.finish_reason, "stop", "finish_reason")


@case("OpenAI", needs="chat")
def best_of(target: Target) -> None:
    """`best_of: 2` with `n: 1` gives one choice, and usage counts both; or it is refused by name."""
    answer = refused_or_ok(completion(target, best_of=2, temperature=1, max_tokens=4, ignore_eos=True), "best_of")
    if answer is not None:
        value = read_completion(target, answer)
        equal(len(value.choices), 1, "the number of choices")
        equal(value.usage and value.usage.completion_tokens, 8, "completion_tokens")


@case("OpenAI", needs="chat")
def best_of_below_n(target: Target) -> None:
    """`best_of` below n can't be: 400 that names it."""
    value = error(completion(target, best_of=1, n=2), 400)
    that("best_of" in f"{value.param} {value.message}", f"the message is {value.message}")


@case("OpenAI", needs="chat")
def suffix(target: Target) -> None:
    """`suffix` fills the middle, or is refused by name where the model can't."""
    refused_or_ok(completion(target, "def add(a, b):\n    ", suffix="\n    return c"), "suffix")


@case("OpenAI", needs="chat")
def stream(target: Target) -> None:
    """A stream has the same object in each chunk, the text in pieces, and one finish_reason."""
    found = chunks(target, max_tokens=64, ignore_eos=True)
    equal(len({(chunk.id, chunk.created, chunk.model) for chunk in found}), 1, "the number of different heads")
    that(sum(bool(chunk.choices[0].text) for chunk in found if chunk.choices) > 2, "few pieces")
    equal(reasons(target, max_tokens=6, ignore_eos=True), ["length"], "the finish reasons")


@case("OpenAI", needs="chat", alone=True)
def same_text(target: Target) -> None:
    """The greedy text in pieces is the greedy text as a whole."""
    pieces = [choice.text for chunk in chunks(target, max_tokens=12) for choice in chunk.choices]
    equal("".join(pieces), asked(target, max_tokens=12).choices[0].text, "the text")


@case("OpenAI", needs="chat")
def stream_of_several(target: Target) -> None:
    """A stream of two prompts carries both, by index."""
    found = chunks(target, [PROMPT, "One, two,"], max_tokens=3)
    equal({choice.index for chunk in found for choice in chunk.choices}, {0, 1}, "the indices")


@case("OpenAI", needs="chat")
def usage_of_a_stream(target: Target) -> None:
    """`include_usage`: the last chunk has `choices: []` and usage."""
    found = chunks(target, max_tokens=3, stream_options={"include_usage": True})
    equal(found[-1].choices, [], "the last chunk's choices")
    that(found[-1].usage and found[-1].usage.completion_tokens == 3, f"usage is {found[-1].usage}")


@case("OpenAI", needs="chat")
def seed(target: Target) -> None:
    """`seed`, penalties, logit_bias and user are taken."""
    asked(target, seed=1, temperature=1, presence_penalty=1, frequency_penalty=-1, logit_bias={"5": -100}, user="ada")


@case("OpenAI", needs="chat")
def greedy_choices(target: Target) -> None:
    """`temperature: 0` with `n: 2` gives two equal choices."""
    value = asked(target, n=2, max_tokens=3)
    equal(value.choices[0].text, value.choices[1].text, "the second choice")


@case("vLLM, sagehold", needs="chat")
def structured(target: Target) -> None:
    """A form (`guided_choice`) holds here too."""
    among(
        asked(target, guided_choice=["Lima", "Oslo"], max_tokens=12).choices[0].text.strip(),
        ("Lima", "Oslo"),
        "the text",
    )


@case("OpenAI", needs="chat")
def empty_list(target: Target) -> None:
    """`prompt: []` is a 400 that names it."""
    that("prompt" in (error(completion(target, []), 400).param or ""), "the error's param is not prompt")


@case("OpenAI", needs="chat")
def prompt_of_a_wrong_type(target: Target) -> None:
    """A prompt that is a number or mixed is a 400 that names it."""
    for prompt in (5, ["a", 5], {"a": 1}):
        that("prompt" in (error(completion(target, prompt), 400).param or ""), "the error's param is not prompt")


@case("OpenAI", needs="chat")
def unknown_token(target: Target) -> None:
    """An id that is no token is a 400."""
    error(completion(target, [99_999_999]), 400)


@case("OpenAI", needs="chat")
def too_many_logprobs(target: Target) -> None:
    """`logprobs: 99` is a 400 that names it."""
    value = error(completion(target, logprobs=99), 400)
    that("logprobs" in f"{value.param} {value.message}", f"the message is {value.message}")


@case("OpenAI", needs="chat")
def too_long(target: Target) -> None:
    """A prompt longer than the context: 400 with code context_length_exceeded."""
    error(completion(target, "word " * 300_000), 400, code="context_length_exceeded")


@case("OpenAI", needs="chat")
def unknown_model(target: Target) -> None:
    """An unknown model: 404 with code model_not_found."""
    error(completion(target, model="none-of-that-name"), 404, code="model_not_found")
