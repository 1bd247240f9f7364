"""Raw prompts to the real starter model: scored as the model itself scores them, several at once, and counted."""

import json
from typing import Any

import httpx
import pytest
from openai import OpenAI

from server import __version__
from server.engines.vllm.hardware import processor_dtype
from tests.e2e.live import CHAT, MODELS, LiveServer, until

MODEL = "gpt-4o-mini"
TEXTS = [
    "The capital of Japan is Tokyo, and the capital of France is Paris.",
    "def add(a, b):\n    return a + b\n",
    "Schnee fällt 雪 auf 🎿 die Berge.",  # tokens that are no whole characters
]
NATS = 0.02 if processor_dtype() == "float32" else 0.3
"""How far two ways to add up the same floats may be apart. The server's floats are short ones on some processors: the
exact comparison is in tests/engines/vllm/test_completion_engine.py."""


@pytest.fixture(scope="module")
def direct() -> Any:
    """The same weights without a server: the log-probabilities after each token of a text's ids."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = MODELS / CHAT
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    def scores(text: str) -> tuple[list[int], Any]:
        ids = tokenizer(text)["input_ids"]
        with torch.inference_mode():
            return ids, torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)

    return scores


def test_a_prompt_is_scored_as_the_model_itself_scores_it(http: httpx.Client, direct: Any) -> None:
    """What evaluation harnesses compute with: echo, and the log-probability of each token given those before it."""
    body = {"model": MODEL, "prompt": TEXTS, "echo": True, "logprobs": 2, "max_tokens": 0, "return_token_ids": True}
    answer = http.post("/v1/completions", json=body).json()
    assert [choice["text"] for choice in answer["choices"]] == TEXTS
    read = 0
    for text, choice in zip(TEXTS, answer["choices"], strict=True):
        ids, scores = direct(text)
        told = choice["logprobs"]
        assert choice["prompt_token_ids"] == ids
        assert (told["token_logprobs"][0], told["top_logprobs"][0]) == (None, None)
        assert told["token_logprobs"][1:] == pytest.approx(
            [float(scores[place, token]) for place, token in enumerate(ids[1:])], abs=NATS
        )
        for place, top in enumerate(told["top_logprobs"][1:]):
            assert max(top.values()) == pytest.approx(float(scores[place].max()), abs=NATS)
        read += len(ids)
    assert (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]) == (read, 0)


def test_a_harness_reads_which_answer_is_likelier(http: httpx.Client, direct: Any) -> None:
    """By lm-eval's own request: token ids, one token more than is needed, and the continuation's sum."""
    context, _ = direct("The capital of Japan is")
    for ending, greedy in ((" Tokyo", True), (" Paris", False)):
        whole, scores = direct(f"The capital of Japan is{ending}")
        payload = {"prompt": [whole], "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": True}
        told = http.post("/v1/completions", json={"model": MODEL, **payload}).json()["choices"][0]["logprobs"]
        ours = told["token_logprobs"][len(context) : -1]
        theirs = [float(scores[place - 1, whole[place]]) for place in range(len(context), len(whole))]
        assert sum(ours) == pytest.approx(sum(theirs), abs=NATS)
        tops = told["top_logprobs"][len(context) : -1]
        assert all(one == max(top.values()) for one, top in zip(ours, tops, strict=True)) is greedy


def test_prompts_at_once_are_answered_as_each_alone(sdk: OpenAI) -> None:
    prompts = ["The capital of Japan is", "One, two, three,", "a b c d e f g"]
    options: dict[str, Any] = {"model": MODEL, "temperature": 0, "max_tokens": 12}
    alone = [sdk.completions.create(prompt=prompt, **options).choices[0].text for prompt in prompts]
    assert alone[0].startswith(" Tokyo")
    together = sdk.completions.create(prompt=prompts, n=2, **options)
    # Two greedy choices are equal choices.
    assert [choice.text for choice in together.choices] == [text for text in alone for _ in range(2)]
    assert together.usage is not None
    assert together.usage.completion_tokens == 12 * 6
    streamed = [""] * 3
    order: list[int] = []
    stream = sdk.completions.create(prompt=prompts, stream=True, stream_options={"include_usage": True}, **options)
    for chunk in stream:
        for choice in chunk.choices:
            streamed[choice.index] += choice.text
            order.append(choice.index)
    assert streamed == alone
    assert chunk.usage is not None
    assert chunk.usage.completion_tokens == 12 * 3
    assert order.index(2) < len(order) - 1 - order[::-1].index(0)  # the last prompt began before the first had ended


def test_a_choice_ends_at_a_stop_and_keeps_a_form(sdk: OpenAI) -> None:
    found = sdk.completions.create(model=MODEL, prompt="One, two, three,", temperature=0, max_tokens=30, stop=[" five"])
    assert (found.choices[0].finish_reason, " five" in found.choices[0].text) == ("stop", False)
    schema = {"type": "object", "properties": {"city": {"enum": ["Tokyo", "Kyoto"]}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {**schema, "additionalProperties": False}}}
    kept = sdk.completions.create(
        model=MODEL, prompt="The capital of Japan in JSON:", max_tokens=30, extra_body={"response_format": form}
    )
    assert json.loads(kept.choices[0].text)["city"] in ("Tokyo", "Kyoto")


def test_the_best_of_several_is_at_least_as_likely_as_the_others(sdk: OpenAI) -> None:
    found = sdk.completions.create(model=MODEL, prompt="Once upon a time", best_of=4, n=3, max_tokens=8, logprobs=0)
    means = []
    for choice in found.choices:
        assert choice.logprobs is not None
        logprobs = choice.logprobs.token_logprobs or []
        means.append(sum(logprobs) / len(logprobs))
    assert means == sorted(means, reverse=True)
    assert found.usage is not None
    assert found.usage.completion_tokens > sum(len(choice.logprobs.tokens or ()) for choice in found.choices)  # type: ignore[union-attr]


def test_who_hangs_up_ends_every_prompt(server: LiveServer, http: httpx.Client) -> None:
    body = {"model": MODEL, "prompt": ["Once upon a time"] * 4, "max_tokens": 2000, "ignore_eos": True, "stream": True}
    with http.stream("POST", "/v1/completions", json=body) as answer:
        lines = answer.iter_lines()  # kept, since the connection ends with it
        assert next(lines).startswith("data: ")
        until(lambda: server.running(CHAT) == 4, "vLLM works on all four", within=20)
    until(lambda: server.running(CHAT) == 0, "vLLM has let go of all four", within=10)


def test_tokens_are_counted_as_they_are_read(http: httpx.Client) -> None:
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "How many tokens are this?"}]}
    counted = http.post("/tokenize", json=chat).json()
    used = http.post("/v1/chat/completions", json={**chat, "max_tokens": 1}).json()["usage"]
    assert (counted["count"], counted["max_model_len"]) == (used["prompt_tokens"], 8192)
    text = http.post("/detokenize", json={"model": MODEL, "tokens": counted["tokens"]}).json()["prompt"]
    raw = http.post("/v1/tokenize", json={"model": MODEL, "prompt": text}).json()
    assert raw["tokens"] == counted["tokens"]
    assert httpx.get(http.base_url.join("/version")).json() == {"version": __version__}
    assert http.get("/v1/models/gpt-4:ultra").json()["max_model_len"] == 8192
