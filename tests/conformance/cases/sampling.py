"""Fields of vLLM's users. What a body says of how tokens are drawn is honoured, or refused by its name."""

from typing import Any

from tests.conformance.asks import QUESTION, chat, completed, read_chat, text, user
from tests.conformance.case import case
from tests.conformance.expect import equal, error, ok, refused_or_ok, that
from tests.conformance.target import Target

LONG = "Count from one to a hundred in words."


def honoured(target: Target, content: Any = QUESTION, **fields: Any) -> Any:
    """The answer's JSON, once it is strictly read."""
    answer = chat(target, content, **fields)
    read_chat(target, answer)
    return answer.json()


def token_ids(target: Target, **fields: Any) -> list[int]:
    """Of the greedy answer."""
    found = honoured(target, return_token_ids=True, **fields)["choices"][0].get("token_ids")
    that(isinstance(found, list) and found, "no token_ids with return_token_ids")
    return list(found)


@case("vLLM", needs="chat")
def return_token_ids(target: Target) -> None:
    """`return_token_ids` adds the prompt's and the answer's ids, as many as usage counts."""
    body = honoured(target, return_token_ids=True)
    usage, choice = body["usage"], body["choices"][0]
    prompt = body.get("prompt_token_ids") or choice.get("prompt_token_ids") or []
    equal(len(prompt), usage["prompt_tokens"], "the number of prompt_token_ids")
    equal(len(choice.get("token_ids") or []), usage["completion_tokens"], "the number of token_ids")


@case("vLLM", needs="chat", alone=True)
def stop_token_ids(target: Target) -> None:
    """`stop_token_ids` ends the answer at that token."""
    ids = token_ids(target)
    place = next(place for place, one in enumerate(ids) if one not in ids[:place] and place > 1)
    value = completed(target, stop_token_ids=[ids[place]])
    equal(value.choices[0].finish_reason, "stop", "finish_reason")
    that(value.usage and value.usage.completion_tokens <= place + 1, f"usage is {value.usage}")


@case("vLLM", needs="chat")
def allowed_token_ids(target: Target) -> None:
    """`allowed_token_ids` draws from no other."""
    some = token_ids(target)[:2]
    found = token_ids(target, allowed_token_ids=some, max_tokens=6)
    that(set(found) <= set(some), f"tokens {found} of the allowed {some}")


@case("vLLM", needs="chat")
def bad_words(target: Target) -> None:
    """`bad_words` are not in the answer."""
    word = text(completed(target)).split()[0]
    answer = text(completed(target, bad_words=[word]))
    that(word not in answer.split(), f"the answer has {word!r}: {answer!r}")


@case("vLLM", needs="chat", alone=True)
def include_stop_str_in_output(target: Target) -> None:
    """`include_stop_str_in_output` keeps the stop string at the end of the answer."""
    word = text(completed(target)).split()[1]
    answer = text(completed(target, stop=[word], include_stop_str_in_output=True))
    that(answer.endswith(word), f"the answer is {answer!r}, without {word!r} at its end")


@case("vLLM", needs="chat")
def min_tokens(target: Target) -> None:
    """`min_tokens` holds the end back."""
    value = completed(target, "Say OK.", min_tokens=24, max_tokens=24)
    equal(value.usage and value.usage.completion_tokens, 24, "completion_tokens")


@case("reports", needs="chat")
def min_above_max(target: Target) -> None:
    """`min_tokens` above max_tokens can't be: 400 that names it."""
    value = error(chat(target, min_tokens=9, max_tokens=3), 400)
    that("min_tokens" in f"{value.param} {value.message}", f"the error names no min_tokens: {value.message}")


@case("vLLM", needs="chat")
def ignore_eos(target: Target) -> None:
    """`ignore_eos` fills the limit."""
    value = completed(target, ignore_eos=True, max_tokens=30)
    equal(value.usage and value.usage.completion_tokens, 30, "completion_tokens")
    equal(value.choices[0].finish_reason, "length", "finish_reason")


@case("vLLM", needs="chat")
def prompt_logprobs(target: Target) -> None:
    """`prompt_logprobs` has an entry for each token of the prompt, null for the first."""
    body = honoured(target, prompt_logprobs=1, max_tokens=1)
    found = body.get("prompt_logprobs") or body["choices"][0].get("prompt_logprobs")
    that(isinstance(found, list), "no prompt_logprobs")
    equal(len(found), body["usage"]["prompt_tokens"], "the number of entries")
    equal(found[0], None, "the first entry")


@case("vLLM", needs="chat")
def truncate_prompt_tokens(target: Target) -> None:
    """`truncate_prompt_tokens: 5` reads the prompt's last five tokens."""
    value = completed(target, truncate_prompt_tokens=5, max_tokens=1)
    equal(value.usage and value.usage.prompt_tokens, 5, "prompt_tokens")


def _prompt(target: Target, **fields: Any) -> int:
    usage = completed(target, max_tokens=1, **fields).usage
    return usage.prompt_tokens if usage else 0


BEGUN = [user(QUESTION), {"role": "assistant", "content": "The capital of Japan is"}]


@case("vLLM, sagehold", needs="chat")
def continue_final_message(target: Target) -> None:
    """`continue_final_message` goes on with the last message: its prompt is shorter than that of a new turn."""
    begun = _prompt(target, messages=BEGUN, continue_final_message=True, add_generation_prompt=False)
    that(begun < _prompt(target, messages=BEGUN), "the prompt is not shorter")


@case("vLLM", needs="chat")
def continue_and_begin(target: Target) -> None:
    """`continue_final_message` beside `add_generation_prompt: true` can't be: 400 by name."""
    value = error(chat(target, messages=BEGUN, continue_final_message=True, add_generation_prompt=True), 400)
    that("continue_final_message" in f"{value.param} {value.message}", f"the message is {value.message}")


@case("vLLM", needs="chat")
def add_generation_prompt(target: Target) -> None:
    """`add_generation_prompt: false` leaves the answer's opening out of the prompt."""
    that(_prompt(target, add_generation_prompt=False) < _prompt(target), "the prompt is not shorter")


@case("vLLM", needs="chat")
def documents(target: Target) -> None:
    """`documents` are in the prompt, or refused by name where the template has no place for them."""
    given = [{"title": "Peru", "text": "Lima is the capital of Peru. " * 5}]
    answer = refused_or_ok(chat(target, documents=given, max_tokens=1), "documents")
    if answer is not None:
        found = read_chat(target, answer).usage
        that(found and found.prompt_tokens > _prompt(target) + 20, "200, and the documents are not in the prompt")


@case("vLLM", needs="chat")
def chat_template_kwargs(target: Target) -> None:
    """`chat_template_kwargs` may not replace what the server itself gives to the template (messages)."""
    answer = chat(target, chat_template_kwargs={"messages": [user("word " * 200)]}, max_tokens=1)
    if answer.status == 200:
        equal(
            read_chat(target, answer).usage and answer.json()["usage"]["prompt_tokens"], _prompt(target), "the prompt"
        )
    else:
        error(answer, 400)


@case("vLLM", needs="chat")
def chat_template(target: Target) -> None:
    """A template in the body is refused by name, or used."""
    answer = refused_or_ok(chat(target, chat_template="{{ 'Hello' }}", max_tokens=1), "chat_template")
    if answer is not None:
        that(answer.json()["usage"]["prompt_tokens"] < 4, "200, and the template was not used")


@case("vLLM", needs="chat")
def priority(target: Target) -> None:
    """`priority` is taken, or refused by name."""
    refused_or_ok(chat(target, priority=5, max_tokens=1), "priority")


@case("vLLM", needs="chat")
def cache_salt(target: Target) -> None:
    """`cache_salt` is taken, and an empty or a wrong one refused by name."""
    completed(target, cache_salt="mine", max_tokens=1)
    error(chat(target, cache_salt=5), 400)


@case("vLLM", needs="chat", alone=True)
def top_k(target: Target) -> None:
    """`top_k: 1` is greedy, and -1 is off."""
    equal(text(completed(target, temperature=1, top_k=1)), text(completed(target)), "the answer")
    completed(target, temperature=1, top_k=-1, max_tokens=1)


@case("vLLM", needs="chat", alone=True)
def min_p(target: Target) -> None:
    """`min_p: 1` leaves only the likeliest token."""
    equal(text(completed(target, temperature=1, min_p=1)), text(completed(target)), "the answer")


@case("vLLM", needs="chat")
def repetition_penalty(target: Target) -> None:
    """`repetition_penalty` changes what repeats."""
    that(
        text(completed(target, LONG, repetition_penalty=2, max_tokens=24))
        != text(completed(target, LONG, max_tokens=24)),
        "a repetition_penalty of 2 changes nothing",
    )


@case("vLLM", needs="chat")
def skip_special_tokens(target: Target) -> None:
    """`skip_special_tokens: false` is honoured or refused by name."""
    refused_or_ok(chat(target, skip_special_tokens=False), "skip_special_tokens")


def _refused(field: str, value: Any) -> None:
    def check(target: Target) -> None:
        found = error(chat(target, max_tokens=1, **{field: value}), 400)
        that(field in f"{found.param} {found.message}", f"the error does not name {field}: {found.message[:100]}")

    check.__name__ = f"wrong_{field}"
    check.__doc__ = f"`{field}: {value!r}` is refused by name."
    case("vLLM, sagehold", needs="chat")(check)


_refused("top_k", -5)
_refused("min_p", 2)
_refused("repetition_penalty", 0)
_refused("min_tokens", -1)
_refused("stop_token_ids", ["x"])
_refused("allowed_token_ids", [])
_refused("bad_words", 5)
_refused("prompt_logprobs", -7)
_refused("truncate_prompt_tokens", -7)
_refused("use_beam_search", True)


@case("vLLM, sagehold", needs="chat")
def unknown_token(target: Target) -> None:
    """An id in `allowed_token_ids` that is no token of the model is refused by name."""
    value = error(chat(target, allowed_token_ids=[99_999_999], max_tokens=1), 400)
    that("allowed_token_ids" in f"{value.param} {value.message}", f"the message is {value.message}")


@case("reports", needs="chat")
def combinations(target: Target) -> None:
    """Valid fields answer in every combination of these: n, temperature 0 or not, seed, stop, logprobs, penalties."""
    for number in range(16):
        fields: dict[str, Any] = {"n": 1 + number % 2, "temperature": (number >> 1) % 2, "max_tokens": 2}
        if number & 4:
            fields |= {"seed": 3, "stop": ["\n"], "top_p": 0.5}
        if number & 8:
            fields |= {"logprobs": True, "top_logprobs": 1, "presence_penalty": 1, "min_tokens": 1}
        ok(chat(target, **fields))
