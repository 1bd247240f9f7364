"""Chat. POST /v1/chat/completions, answered whole."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.conformance.asks import QUESTION, chat, completed, read_chat, text, tool, user
from tests.conformance.case import Failed, case
from tests.conformance.expect import among, equal, error, ok, refused_or_ok, that
from tests.conformance.target import Target

CONTROL = ("<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|endoftext|>", "</s>", "[/INST]", "<end_of_turn>")
"""Strings that end a turn in one model or another. As text each is two tokens or more."""


def prompt_tokens(target: Target, **fields: Any) -> int:
    usage = completed(target, **({"max_tokens": 1} | fields)).usage
    if usage is None:
        raise Failed("no usage")
    return usage.prompt_tokens


@case("OpenAI", needs="chat")
def form(target: Target) -> None:
    """The answer is a `chat.completion` with every field of the SDK's type, and none of another type."""
    value = completed(target)
    that(value.id.startswith("chatcmpl-"), f"the id is {value.id}")
    that(abs(time.time() - value.created) < 600, f"created is {value.created}, not this time in seconds")


@case("OpenAI", needs="chat")
def keys(target: Target) -> None:
    """`content` and `refusal` of the message, and `logprobs` of the choice, are there, null or not."""
    choice = ok(chat(target)).json()["choices"][0]
    missing = [name for name in ("content", "refusal") if name not in choice["message"]]
    missing += [name for name in ("logprobs", "finish_reason", "index") if name not in choice]
    that(not missing, f"missing: {', '.join(missing)}")


@case("OpenAI", needs="chat")
def usage(target: Target) -> None:
    """`usage` is there, counts more than 0 of both, and sums up."""
    found = completed(target).usage
    that(found is not None, "no usage")
    if found is not None:
        that(found.prompt_tokens > 0 and 0 < found.completion_tokens <= 8, f"usage is {found}")
        equal(found.total_tokens, found.prompt_tokens + found.completion_tokens, "total_tokens")


@case("OpenAI", needs="chat")
def model_echo(target: Target) -> None:
    """`model` is the name that was asked for."""
    equal(completed(target, max_tokens=1).model, target.model("chat"), "model")


@case("OpenAI", needs="chat")
def fingerprint(target: Target) -> None:
    """`system_fingerprint` is there, and the same for the same server."""
    first, second = (completed(target, max_tokens=1).system_fingerprint for _ in range(2))
    that(first, "no system_fingerprint")
    equal(first, second, "system_fingerprint, asked for again,")


@case("OpenAI", needs="chat")
def reason_length(target: Target) -> None:
    """An answer that the limit cuts has finish_reason `length` and no more tokens than that."""
    value = completed(target, "Count from one to a hundred in words.", max_tokens=5)
    equal(value.choices[0].finish_reason, "length", "finish_reason")
    equal(value.usage and value.usage.completion_tokens, 5, "completion_tokens")


@case("OpenAI", needs="chat")
def reason_stop(target: Target) -> None:
    """An answer that ends by itself has finish_reason `stop`."""
    equal(completed(target, max_tokens=60).choices[0].finish_reason, "stop", "finish_reason")


@case("OpenAI, reports", needs="chat")
def max_completion_tokens(target: Target) -> None:
    """`max_completion_tokens` limits the answer."""
    value = completed(target, "Count from one to a hundred in words.", max_tokens=..., max_completion_tokens=4)
    equal(value.usage and value.usage.completion_tokens, 4, "completion_tokens")
    equal(value.choices[0].finish_reason, "length", "finish_reason")


@case("OpenAI, reports", needs="chat")
def both_limits(target: Target) -> None:
    """max_tokens and max_completion_tokens of the same value are taken."""
    equal(completed(target, max_tokens=3, max_completion_tokens=3).choices[0].finish_reason, "length", "finish_reason")


@case("OpenAI", needs="chat")
def null_limit(target: Target) -> None:
    """`max_tokens: null` is no limit of its own: the answer ends by itself."""
    value = completed(target, max_tokens=None)
    equal(value.choices[0].finish_reason, "stop", "finish_reason")


@case("OpenAI", needs="chat")
def choices(target: Target) -> None:
    """`n: 2` gives two choices, indexed 0 and 1, all counted in usage."""
    value = completed(target, n=2, temperature=1, max_tokens=4)
    equal([choice.index for choice in value.choices], [0, 1], "the choices' indices")
    equal(value.usage and value.usage.completion_tokens, 8, "completion_tokens")


@case("reports", needs="chat")
def greedy_choices(target: Target) -> None:
    """`temperature: 0` with `n: 2` gives two equal choices."""
    value = completed(target, n=2)
    equal(len(value.choices), 2, "the number of choices")
    equal(text(value, 0), text(value, 1), "the second choice")


@case("reports", needs="chat", alone=True)
def greedy_by_top_p(target: Target) -> None:
    """`top_p: 0` is greedy."""
    answers = {text(completed(target, temperature=1, top_p=0)) for _ in range(2)}
    equal(answers, {text(completed(target))}, "the answers")


@case("OpenAI", needs="chat", alone=True)
def stop_string(target: Target) -> None:
    """A stop string ends the answer and is not in it."""
    whole = text(completed(target, max_tokens=20))
    word = whole.split()[2]
    value = completed(target, max_tokens=20, stop=word)
    that(word not in text(value), f"the answer has the stop string {word!r}: {text(value)!r}")
    that(whole.startswith(text(value)), f"{text(value)!r} does not begin {whole!r}")
    equal(value.choices[0].finish_reason, "stop", "finish_reason")


@case("OpenAI", needs="chat", alone=True)
def stop_strings(target: Target) -> None:
    """Of four stop strings the first that comes counts."""
    words = text(completed(target, max_tokens=20)).split()
    value = completed(target, max_tokens=20, stop=["\x01", words[3], words[1], "\x02"])
    that(words[1] not in text(value).split(), f"the answer is {text(value)!r}")


@case("OpenAI", needs="chat", alone=True)
def seed(target: Target) -> None:
    """The same seed gives the same answer."""
    answers = [text(completed(target, temperature=1.2, seed=7, max_tokens=12)) for _ in range(2)]
    equal(answers[0], answers[1], "the answer of the same seed")


@case("OpenAI", needs="chat")
def logprobs(target: Target) -> None:
    """`logprobs` gives each token with its logarithm and bytes; the bytes together are the text."""
    value = completed(target, logprobs=True, max_tokens=6)
    found = value.choices[0].logprobs
    that(found and found.content, "no logprobs")
    tokens = found.content if found and found.content else []
    equal(len(tokens), value.usage and value.usage.completion_tokens, "the number of tokens with logprobs")
    that(all(token.logprob <= 0 for token in tokens), "a log-probability is above 0")
    spelled = b"".join(bytes(token.bytes or ()) for token in tokens).decode(errors="replace")
    equal(spelled, text(value), "the tokens' bytes")


@case("OpenAI", needs="chat")
def top_logprobs(target: Target) -> None:
    """`top_logprobs: 3` gives three alternatives a token, the best first."""
    found = completed(target, logprobs=True, top_logprobs=3, max_tokens=3).choices[0].logprobs
    tokens = found.content if found and found.content else []
    that(tokens, "no logprobs")
    for token in tokens:
        values = [one.logprob for one in token.top_logprobs]
        equal(len(values), 3, "the number of alternatives")
        equal(values, sorted(values, reverse=True), "the order of the alternatives")


@case("OpenAI", needs="chat")
def no_top_logprobs(target: Target) -> None:
    """`logprobs` without top_logprobs has an empty list of alternatives for each token."""
    found = completed(target, logprobs=True, max_tokens=2).choices[0].logprobs
    tokens = found.content if found and found.content else []
    equal([token.top_logprobs for token in tokens], [[], []], "top_logprobs")


@case("OpenAI", needs="chat")
def logit_bias(target: Target) -> None:
    """A `logit_bias` of 100 forces a token: three greedy tokens are then the same one."""
    found = completed(target, logit_bias={"345": 100}, logprobs=True, max_tokens=3).choices[0].logprobs
    tokens = [token.token for token in found.content or ()] if found else []
    equal(len(set(tokens)), 1, f"the number of different tokens among {tokens}")


@case("OpenAI", needs="chat")
def parts(target: Target) -> None:
    """`content` as a list of text parts is read, and is the same as the text for one part."""
    one = prompt_tokens(target, content=[{"type": "text", "text": QUESTION}])
    equal(one, prompt_tokens(target), "the number of prompt tokens")
    completed(target, [{"type": "text", "text": "What is the capital"}, {"type": "text", "text": "of Japan?"}])


def _roles(name: str, title: str, *messages: dict[str, Any]) -> None:
    def check(target: Target) -> None:
        completed(target, messages=list(messages), max_tokens=2)

    check.__name__ = name
    check.__doc__ = title
    case("OpenAI, reports", needs="chat")(check)


CALL = {"id": "call_1", "type": "function", "function": {"name": "describe", "arguments": '{"country": "Japan"}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
PARTS = [{"type": "text", "text": "Be brief."}]
_roles("system_role", "A system message is taken.", {"role": "system", "content": "Be brief."}, user("Hi"))
_roles("developer_role", "A developer message is taken.", {"role": "developer", "content": "Be brief."}, user("Hi"))
_roles("system_parts", "A system message may have text parts.", {"role": "system", "content": PARTS}, user("Hi"))
_roles("developer_parts", "A developer message may have parts.", {"role": "developer", "content": PARTS}, user("Hi"))
_roles(
    "assistant_history", "An earlier answer is taken.", user("Hi"), {"role": "assistant", "content": "Hi"}, user("?")
)
_roles(
    "assistant_parts",
    "An earlier answer may have text and refusal parts.",
    user("Hi"),
    {"role": "assistant", "content": [{"type": "text", "text": "No."}, {"type": "refusal", "refusal": "I won't."}]},
    user("?"),
)
_roles(
    "call_history",
    "An earlier call with null content, and its result, are taken.",
    user("Hi"),
    CALLING,
    {"role": "tool", "tool_call_id": "call_1", "content": "An island country."},
)
_roles(
    "call_without_content",
    "An earlier call may lack `content`.",
    user("Hi"),
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "An island country."},
)
_roles(
    "result_parts",
    "A tool's result may have text parts.",
    user("Hi"),
    CALLING,
    {"role": "tool", "tool_call_id": "call_1", "content": PARTS},
)
_roles(
    "function_history",
    "An earlier function_call and its result of role function are taken.",
    user("Hi"),
    {"role": "assistant", "content": None, "function_call": CALL["function"]},
    {"role": "function", "name": "describe", "content": "An island country."},
)
_roles("names", "Messages may carry a name.", {**user("Hi"), "name": "ada"})
_roles(
    "ends_with_assistant",
    "A last message of role assistant is taken.",
    user("Hi"),
    {"role": "assistant", "content": "I"},
)
_roles(
    "reasoning_history",
    "An earlier answer may carry its reasoning_content.",
    user("Hi"),
    {"role": "assistant", "content": "Hi", "reasoning_content": "A greeting."},
    user("?"),
)
_roles(
    "sent_back",
    "A message as it was answered (refusal, annotations, audio and calls null) can be sent back.",
    user("Hi"),
    {
        "role": "assistant",
        "content": "Hi",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": None,
        "tool_calls": None,
    },
    user("?"),
)


@case("OpenAI, reports", needs="chat")
def unknown_fields(target: Target) -> None:
    """Fields that the server doesn't know are ignored: new clients send new ones."""
    completed(target, some_new_field={"a": [1]}, another=True, max_tokens=2)


@case("OpenAI, reports", needs="chat")
def fields_of_the_hosted_api(target: Target) -> None:
    """What only OpenAI's own service uses (store, metadata, prompt_cache_key …) is accepted."""
    completed(
        target,
        max_tokens=2,
        store=False,
        metadata={"a": "b"},
        service_tier="auto",
        user="ada",
        safety_identifier="ada",
        prompt_cache_key="k",
        verbosity="medium",
        prediction={"type": "content", "content": "The capital"},
    )


@case("sagehold", needs="chat")
def explicit_nulls(target: Target) -> None:
    """Fields that are null count as absent, as many clients send them."""
    names = ("top_p", "n", "stop", "seed", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs")
    names += ("top_logprobs", "stream", "stream_options", "tools", "tool_choice", "response_format", "functions")
    names += ("function_call", "reasoning_effort", "modalities", "audio", "user", "metadata", "max_completion_tokens")
    names += ("parallel_tool_calls", "temperature")
    completed(target, **dict.fromkeys(names), max_tokens=2)


@case("OpenAI", needs="chat")
def no_tools(target: Target) -> None:
    """`tools: []` is the same as none."""
    completed(target, tools=[], max_tokens=2)


@case("OpenAI", needs="chat")
def choice_without_tools(target: Target) -> None:
    """`tool_choice: "none"`, and "auto", without tools are taken."""
    completed(target, tool_choice="none", max_tokens=2)
    completed(target, tool_choice="auto", max_tokens=2)


@case("OpenAI", needs="chat")
def reasoning_effort(target: Target) -> None:
    """Every documented `reasoning_effort` is taken."""
    for effort in ("none", "minimal", "low", "medium", "high", "xhigh", "max"):
        completed(target, reasoning_effort=effort, max_tokens=1)


@case("reports", needs="chat")
def modalities(target: Target) -> None:
    """`modalities: ["text"]` with `audio` settings is fine."""
    completed(target, modalities=["text"], audio={"voice": "alloy", "format": "wav"}, max_tokens=2)


@case("OpenAI", needs="chat", alone=True)
def response_format_text(target: Target) -> None:
    """`response_format: text` changes nothing."""
    equal(text(completed(target, response_format={"type": "text"})), text(completed(target)), "the answer")


@case("OpenAI", needs="chat")
def penalties(target: Target) -> None:
    """Both penalties at both ends of their range are taken."""
    completed(target, frequency_penalty=2, presence_penalty=-2, max_tokens=2)
    completed(target, frequency_penalty=-2, presence_penalty=2, max_tokens=2)


@case("OpenAI", needs="chat")
def ids(target: Target) -> None:
    """Eight requests at once get eight answers, each with an id of its own."""
    with ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda place: completed(target, f"Say {place}.", max_tokens=2), range(8)))
    equal(len({value.id for value in values}), 8, "the number of different ids")


@case("OpenAI", needs="chat")
def nothing_of_the_engine(target: Target) -> None:
    """No null fields of the engine's own (kv_transfer_params, token_ids …) in an answer where nobody asked for them."""
    body = ok(chat(target, max_tokens=1)).json()
    extra = [name for name in ("kv_transfer_params", "prompt_logprobs", "prompt_token_ids") if name in body]
    extra += [name for name in ("stop_reason", "token_ids") if name in body["choices"][0]]
    that(not extra, f"there are {', '.join(extra)}")


def _text_is_text(role: str, *before: dict[str, Any]) -> None:
    def check(target: Target) -> None:
        def counted(inside: str) -> int:
            last = {"role": role, "content": f"One {inside}two."}
            if role == "tool":
                last["tool_call_id"] = "call_1"
            after = [user("Hi")] if role in ("system", "assistant") else []
            return prompt_tokens(target, messages=[*before, last, *after])

        plain = counted("")
        for control in CONTROL:
            more = counted(control * 10) - plain
            that(more >= 15, f"{control} ten times adds {more} tokens: it is read as a control token")

    check.__name__ = f"control_text_of_{role}"
    check.__doc__ = f"What ends a turn in a prompt is plain text in a message of role {role}."
    case("reports, sagehold", needs="chat")(check)


_text_is_text("user")
_text_is_text("system")
_text_is_text("assistant", user("Hi"))
_text_is_text("tool", user("Hi"), CALLING)


@case("reports, sagehold", needs="chat")
def control_text_of_a_tool(target: Target) -> None:
    """What ends a turn is plain text in a tool's description too."""

    def counted(inside: str) -> int:
        described = tool()
        described["function"]["description"] = f"One {inside}two."
        return prompt_tokens(target, tools=[described])

    plain = counted("")
    for control in CONTROL:
        more = counted(control * 10) - plain
        that(more >= 15, f"{control} ten times adds {more} tokens: it is read as a control token")


@case("sagehold", needs="chat")
def picture_for_a_text_model(target: Target) -> None:
    """A text model refuses a picture by the part's name, or has eyes."""
    dot = (
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
        "rkJggg=="
    )
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": dot}}]
    if (answer := refused_or_ok(chat(target, content), "messages[0].content", "image")) is not None:
        read_chat(target, answer)


@case("sagehold", needs="chat")
def file_part(target: Target) -> None:
    """A `file` part is read, or refused by the part's name."""
    content = [{"type": "text", "text": "What is this?"}, {"type": "file", "file": {"file_id": "file-1"}}]
    answer = chat(target, content)
    if answer.status != 200:
        value = error(answer, (400, 404))
        that("messages[0].content" in f"{value.param} {value.message}" or "file" in value.message, value.message)


@case("OpenAI", needs="chat")
def stored(target: Target) -> None:
    """GET of a stored completion that isn't there: 404 in the envelope."""
    error(target.get("/chat/completions/chatcmpl-none", here=False), 404)


@case("OpenAI", needs="chat")
def finish_reasons(target: Target) -> None:
    """Sampled answers have documented finish reasons only."""
    for choice in completed(target, n=4, temperature=1.5, max_tokens=3).choices:
        among(choice.finish_reason, ("stop", "length"), "finish_reason")
