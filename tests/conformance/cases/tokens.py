"""Tokens. POST /tokenize and /detokenize, at the root as vLLM has them and under /v1."""

from typing import Any

from tests.conformance.asks import QUESTION, completed, user
from tests.conformance.case import case
from tests.conformance.expect import equal, error, ok, that
from tests.conformance.target import Target


def tokenized(target: Target, url: str = "", **fields: Any) -> dict[str, Any]:
    body = {"model": target.model("chat")} | fields
    found: dict[str, Any] = ok(target.post(url or f"{target.root}/tokenize", body)).json()
    equal(found.get("count"), len(found.get("tokens", [])), "count")
    return found


@case("vLLM", needs="chat")
def prompt(target: Target) -> None:
    """A prompt's tokens, their count, and the model's context."""
    found = tokenized(target, prompt=QUESTION)
    that(found["count"] > 3 and all(isinstance(one, int) for one in found["tokens"]), f"the tokens are {found}")
    that(isinstance(found.get("max_model_len"), int), "no max_model_len")


@case("sagehold", needs="chat")
def under_v1(target: Target) -> None:
    """The same under /v1."""
    equal(
        tokenized(target, "/tokenize", prompt="One")["tokens"], tokenized(target, prompt="One")["tokens"], "the tokens"
    )


@case("vLLM", needs="chat")
def messages(target: Target) -> None:
    """Messages are as many tokens as a chat of them has in its prompt."""
    found = tokenized(target, messages=[user(QUESTION)])["count"]
    usage = completed(target, max_tokens=1).usage
    equal(found, usage and usage.prompt_tokens, "count")


@case("vLLM", needs="chat")
def strings(target: Target) -> None:
    """`return_token_strs` adds a string for each token."""
    found = tokenized(target, prompt="One two", return_token_strs=True)
    equal(len(found.get("token_strs") or ()), found["count"], "the number of token_strs")


@case("vLLM", needs="chat")
def detokenize(target: Target) -> None:
    """The tokens of a text are its text again."""
    tokens = tokenized(target, prompt="One, two – three.", add_special_tokens=False)["tokens"]
    answer = target.post(f"{target.root}/detokenize", {"model": target.model("chat"), "tokens": tokens})
    equal(ok(answer).json().get("prompt"), "One, two – three.", "the text")


@case("vLLM", needs="chat")
def detokenize_under_v1(target: Target) -> None:
    """/v1/detokenize refuses what is no token of the model."""
    answer = target.post("/detokenize", {"model": target.model("chat"), "tokens": [99_999_999]})
    error(answer, 400)


@case("vLLM", needs="chat")
def nothing(target: Target) -> None:
    """Neither prompt nor messages: 400."""
    error(target.post(f"{target.root}/tokenize", {"model": target.model("chat")}), 400)


@case("OpenAI", needs="chat")
def unknown_model(target: Target) -> None:
    """An unknown model: 404 with code model_not_found."""
    body = {"model": "none-of-that-name", "prompt": "One"}
    error(target.post(f"{target.root}/tokenize", body), 404, code="model_not_found")
