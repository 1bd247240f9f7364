"""How tokens are drawn by the real starter model, for vLLM's users and others."""

import json
from typing import Any

import httpx
import pytest

from tests.e2e.live import CHAT

JAPAN = "What is the capital of Japan?"
TOKYO = "The capital of Japan is Tokyo."
ANSWER = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
FORM = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {**ANSWER, "additionalProperties": False}}}


def ask(http: httpx.Client, **options: Any) -> Any:
    """Greedy and short unless `options` say otherwise. The body of a 200."""
    answer = tried(http, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tried(http: httpx.Client, **options: Any) -> httpx.Response:
    messages = [{"role": "user", "content": options.pop("asked", JAPAN)}]
    chosen = {"model": CHAT, "messages": messages, "temperature": 0, "max_tokens": 30} | options
    return http.post("/v1/chat/completions", json=chosen)


def text(body: Any) -> str:
    content: str = body["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize("options", [{}, {"quality": "high"}, {"quality": "ultra"}, {"top_p": 0, "temperature": 1.5}])
def test_several_greedy_choices_are_equal_choices_and_billed_each(http: httpx.Client, options: dict[str, Any]) -> None:
    one, three = ask(http, **options), ask(http, n=3, **options)
    assert [choice["message"]["content"] for choice in three["choices"]] == [TOKYO] * 3
    assert [choice["finish_reason"] for choice in three["choices"]] == ["stop"] * 3
    tokens = one["usage"]["quality"]["tokens_by_pass"][0]["completion_tokens"]
    assert three["usage"]["completion_tokens"] == 3 * tokens
    assert three["usage"]["prompt_tokens"] == one["usage"]["quality"]["tokens_by_pass"][0]["prompt_tokens"]


def test_greedy_choices_stream_by_index(http: httpx.Client) -> None:
    body = {"model": CHAT, "messages": [{"role": "user", "content": JAPAN}], "temperature": 0, "n": 2, "max_tokens": 30}
    lines = http.post("/v1/chat/completions", json={**body, "stream": True}).text.split("\n\n")
    choices = [json.loads(line[6:])["choices"][0] for line in lines if line.startswith("data: {")]
    for index in (0, 1):
        pieces = [choice["delta"] for choice in choices if choice["index"] == index]
        assert pieces[0] == {"role": "assistant", "content": ""}
        assert "".join(piece.get("content", "") for piece in pieces) == TOKYO


def test_words_and_tokens_may_be_forbidden_or_alone_allowed(http: httpx.Client) -> None:
    told = ask(http, return_token_ids=True)
    ids = told["choices"][0]["token_ids"]
    assert len(ids) == told["usage"]["completion_tokens"]
    assert "Tokyo" not in text(ask(http, bad_words=["Tokyo"]))
    assert set(text(ask(http, allowed_token_ids=ids[:2], max_tokens=6)).split()) == {"The", "capital"}
    stopped = ask(http, stop_token_ids=[ids[3]])
    assert (text(stopped), stopped["choices"][0]["finish_reason"]) == ("The capital of", "stop")
    assert text(ask(http, stop=["Japan"], include_stop_str_in_output=True)) == "The capital of Japan"


def test_the_prompt_is_told_as_it_was_read(http: httpx.Client) -> None:
    body = ask(http, prompt_logprobs=1, return_token_ids=True, logprobs=True, return_tokens_as_token_ids=True)
    ids, logprobs = body["prompt_token_ids"], body["prompt_logprobs"]
    assert len(ids) == len(logprobs) == body["usage"]["prompt_tokens"]
    assert logprobs[0] is None
    for token, entries in zip(ids[1:], logprobs[1:], strict=True):
        assert str(token) in entries
        assert min(entry["rank"] for entry in entries.values()) == 1
        assert all(entry["logprob"] <= 0 for entry in entries.values())
    said = body["choices"][0]
    told = [f"token_id:{token}" for token in said["token_ids"]]
    assert [entry["token"] for entry in said["logprobs"]["content"]] == told


def test_the_prompt_is_counted_once_for_all_choices(http: httpx.Client) -> None:
    asked = " ".join(f"word{number}" for number in range(60)) + " " + JAPAN
    options: dict[str, Any] = {"asked": asked, "n": 3, "temperature": 0.7, "max_tokens": 2, "cache_salt": "sampling"}
    first, second = ask(http, **options)["usage"], ask(http, **options)["usage"]
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    assert 0 < second["prompt_tokens_details"]["cached_tokens"] < second["prompt_tokens"] == first["prompt_tokens"]
    other = ask(http, **{**options, "cache_salt": "another"})["usage"]
    assert other["prompt_tokens_details"]["cached_tokens"] == 0


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"min_tokens": 31}, "min_tokens"),
        ({"min_tokens": 100_000, "max_tokens": None}, "min_tokens"),
        ({"stop_token_ids": [2**30]}, "stop_token_ids"),
        ({"allowed_token_ids": [2**30]}, "allowed_token_ids"),
        ({"bad_words": [" "]}, "bad_words"),
        ({"response_format": FORM, "ignore_eos": True}, "ignore_eos"),
        ({"response_format": FORM, "min_tokens": 20}, "min_tokens"),
    ],
)
def test_what_can_not_be_kept_is_a_400_that_names_it(http: httpx.Client, options: dict[str, Any], param: str) -> None:
    answer = tried(http, **options)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_the_documented_limit_is_that_of_its_names(http: httpx.Client) -> None:
    """An answer that goes on for ever ends at 256 tokens by a name that promises so, and by others does not."""
    endless: dict[str, Any] = {"max_tokens": None, "ignore_eos": True, "allowed_token_ids": [504]}
    ended = ask(http, model="gpt-4o-mini", **endless)
    assert (ended["usage"]["completion_tokens"], ended["choices"][0]["finish_reason"]) == (256, "length")
    messages = [{"role": "user", "content": JAPAN}]
    body = {"model": CHAT, "messages": messages, "temperature": 0, "stream": True, **endless}
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        for pieces, line in enumerate(line for line in answer.iter_lines() if line.startswith("data: {")):
            assert json.loads(line[6:])["choices"][0]["finish_reason"] is None
            if pieces > 270:
                return  # hanging up ends it
    pytest.fail("the answer ended by itself")
