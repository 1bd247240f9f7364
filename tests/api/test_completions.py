"""POST /v1/completions over the fake engine: shapes, log-probabilities, prompts, streams, refusals, hang-ups."""

import json
from typing import Any

import httpx
import httpx2
import pytest
from openai import AsyncOpenAI

from server.core import CompletionJob, Facts, Finish, Task, TextDelta, TokenLogprob, Usage
from server.engines.fake.engine import FakeEngine
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio

TEXT = "Hello from the fake engine."
REFUSED = "invalid_request_error"


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.COMPLETION]


async def ask(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/v1/completions", json={"model": "everything", "prompt": "one two", **body})


async def choices(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    answer = await ask(client, **body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["choices"]
    assert [choice["index"] for choice in found] == list(range(len(found)))
    return found


async def streamed(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    answer = await ask(client, stream=True, **body)
    assert answer.status_code == 200, answer.text
    *events, last = [line[6:] for line in answer.text.split("\n\n") if line]
    assert last == "[DONE]"
    return [json.loads(event) for event in events]


def job_of(engine: FakeEngine) -> CompletionJob:
    job = engine.jobs[-1]
    assert isinstance(job, CompletionJob)
    return job


async def test_a_completion_has_the_openai_shape(client: httpx.AsyncClient) -> None:
    body = (await ask(client)).json()
    assert body.pop("id").startswith("cmpl-")
    assert body.pop("created") > 1_700_000_000
    assert body.pop("system_fingerprint").startswith("fp_")
    quality = body["usage"].pop("quality")
    assert (quality["passes"], quality["candidates"]) == (1, 1)
    details = {name: body["usage"].pop(name) for name in ("prompt_tokens_details", "completion_tokens_details")}
    assert details["prompt_tokens_details"]["cached_tokens"] == 0
    assert body == {
        "object": "text_completion",
        "model": "everything",
        "choices": [{"text": TEXT, "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 5, "total_tokens": 7},
    }


async def test_what_the_client_leaves_open_is_as_the_openai_api_has_it(
    client: httpx.AsyncClient, engine: FakeEngine
) -> None:
    await client.post("/v1/completions", json={"model": "everything"})
    job = job_of(engine)
    assert (job.prompts, job.max_tokens, job.n, job.echo, job.suffix) == (("",), 16, 1, False, None)
    assert (job.temperature, job.top_logprobs, job.best_of, job.add_special_tokens) == (None, None, None, True)


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a b", ("a b",)),
        (["a", "b c", ""], ("a", "b c", "")),
        ([97, 98], ((97, 98),)),
        ([[97], [98, 99]], ((97,), (98, 99))),
        (None, ("",)),
    ],
)
async def test_prompts_are_texts_or_token_ids(
    client: httpx.AsyncClient, engine: FakeEngine, prompt: Any, prompts: Any
) -> None:
    found = await choices(client, prompt=prompt, echo=True, max_tokens=1)
    assert job_of(engine).prompts == prompts
    spelled = ["".join(map(chr, one)) if isinstance(one, tuple) else one for one in prompts]
    assert [choice["text"] for choice in found] == [f"{text}Hello" for text in spelled]


async def test_choices_of_several_prompts_come_in_their_order(settings: Settings) -> None:
    replies = {"first": ["1a", "1b"], "second": ["2a", "2b"]}
    async with FakeServer(settings, {Task.COMPLETION: {"replies": replies}}) as fake, fake.client() as client:
        found = await choices(client, prompt=["first", "second"], n=2)
        assert [choice["text"] for choice in found] == ["1a", "1b", "2a", "2b"]
        chunks = await streamed(client, prompt=["first", "second"], n=2, stream_options={"include_usage": True})
        text = ["", "", "", ""]
        for chunk in chunks[:-1]:
            text[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
        assert text == ["1a", "1b", "2a", "2b"]
        usage = chunks[-1]["usage"]
        assert chunks[-1]["choices"] == []
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (2, 4)


# ---------------------------------------------------------------- log-probabilities


async def test_log_probabilities_are_four_arrays(client: httpx.AsyncClient) -> None:
    (choice,) = await choices(client, logprobs=2, max_tokens=3)
    assert choice["logprobs"] == {
        "tokens": ["Hello", " from", " the"],
        "token_logprobs": [-0.25, -0.25, -0.25],
        "top_logprobs": [{token: -0.25, "~0": -2.0} for token in ("Hello", " from", " the")],
        "text_offset": [0, 5, 10],
    }


async def test_the_prompt_alone_is_scored(client: httpx.AsyncClient) -> None:
    """What evaluation harnesses ask for."""
    answer = await ask(client, prompt="one two three", echo=True, logprobs=1, max_tokens=0)
    (choice,) = answer.json()["choices"]
    assert choice["text"] == "one two three"
    assert choice["finish_reason"] == "length"
    assert choice["logprobs"] == {
        "tokens": ["one", " two", " three"],
        "token_logprobs": [None, -0.25, -0.25],
        "top_logprobs": [None, {" two": -0.25}, {" three": -0.25}],
        "text_offset": [0, 3, 7],
    }
    usage = answer.json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3, 0)


async def test_an_answer_of_no_tokens_has_no_log_probabilities(client: httpx.AsyncClient) -> None:
    (choice,) = await choices(client, logprobs=1, max_tokens=0)
    empty: list[Any] = []
    assert choice["text"] == ""
    assert choice["logprobs"] == {
        "tokens": empty,
        "token_logprobs": empty,
        "top_logprobs": empty,
        "text_offset": empty,
    }


async def test_the_token_itself_is_told_where_it_is_none_of_the_likeliest(
    client: httpx.AsyncClient, engine: FakeEngine
) -> None:
    other = TokenLogprob("no", -0.1, (110, 111), id=7, rank=1)
    drawn = TokenLogprob("yes", -3.0, (121, 101, 115), (other,), id=8, rank=5)
    for ids, names in ((False, ("no", "yes")), (True, ("token_id:7", "token_id:8"))):
        engine.script.append([Facts(2, 16), TextDelta(0, "yes", (drawn,), 1), Finish(0, "stop"), Usage(2, 1)])
        (choice,) = await choices(client, logprobs=1, return_tokens_as_token_ids=ids)
        assert choice["logprobs"]["top_logprobs"] == [{names[0]: -0.1, names[1]: -3.0}]
        assert choice["logprobs"]["tokens"] == [names[1]]


async def test_of_tokens_that_look_alike_the_likeliest_is_told(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """Halves of characters all look like U+FFFD. A harness must still see whether the greatest is the token's own."""
    first, second = (
        TokenLogprob("\ufffd", logprob, (), id=number, rank=number) for number, logprob in ((1, -0.5), (2, -2.0))
    )
    drawn = TokenLogprob("\ufffd", -2.0, (), (first, second), id=2, rank=2)
    engine.script.append([Facts(2, 16), TextDelta(0, "", (drawn,), 1), Finish(0, "stop"), Usage(2, 1)])
    (choice,) = await choices(client, logprobs=2)
    assert choice["logprobs"]["top_logprobs"] == [{"\ufffd": -0.5}]
    assert choice["logprobs"]["token_logprobs"] == [-2.0]


async def test_offsets_go_on_from_chunk_to_chunk(client: httpx.AsyncClient) -> None:
    chunks = await streamed(client, echo=True, logprobs=0, max_tokens=2)
    told = [(c["text"], c["logprobs"] and c["logprobs"]["text_offset"], c["finish_reason"])
            for chunk in chunks for c in chunk["choices"]]  # fmt: skip
    assert told == [
        ("one two", [0, 3], None),
        ("Hello", [7], None),
        (" from", [12], None),
        ("", None, "length"),
    ]
    assert chunks[0]["choices"][0]["logprobs"]["top_logprobs"] == [None, {" two": -0.25}]


async def test_what_users_of_vllm_ask_for_is_told(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    fields = {"prompt": [97, 98], "prompt_logprobs": 1, "return_token_ids": True, "max_tokens": 2}
    (choice,) = await choices(client, **fields)
    assert choice["prompt_token_ids"] == [97, 98]
    assert choice["prompt_logprobs"] == [None, {"98": {"logprob": -0.25, "rank": 1, "decoded_token": "b"}}]
    assert choice["token_ids"] == [ord("o"), ord("m")]  # the fake's ids of Hello and from
    assert choice["text"] == "Hello from"
    first, *others = await streamed(client, **fields)
    assert first["choices"][0]["prompt_token_ids"] == [97, 98]
    assert first["choices"][0]["prompt_logprobs"] == choice["prompt_logprobs"]
    assert [chunk["choices"][0].get("token_ids") for chunk in others] == [[ord("o")], [ord("m")], None]
    await ask(client, truncate_prompt_tokens=-1, add_special_tokens=False)
    assert (job_of(engine).truncate_prompt_tokens, job_of(engine).add_special_tokens) == (-1, False)


# ---------------------------------------------------------------- best_of


def drawn(index: int, text: str, *logprobs: float) -> list[Any]:
    entries = tuple(TokenLogprob(text, logprob, ()) for logprob in logprobs)
    return [TextDelta(index, text, entries, len(logprobs)), Finish(index, "stop")]


async def test_the_best_are_those_with_the_highest_mean(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    """By the sum, b would be the best of the first prompt's, since it is short."""
    events = [
        *drawn(0, "a", -0.5, -0.5, -0.5),
        *drawn(1, "b", -0.9),
        *drawn(2, "c", -0.4, -0.6),
        *drawn(3, "x", -3.0),
        *drawn(4, "y", -1.0),
        *drawn(5, "z", -2.0),
    ]
    engine.script.append([Facts(4, 16), *events, Usage(4, 9)])
    answer = await ask(client, prompt=["p", "q"], n=2, best_of=3)
    assert [(one["index"], one["text"], one["logprobs"]) for one in answer.json()["choices"]] == [
        (0, "a", None),  # as likely as c, and drawn before it
        (1, "c", None),
        (2, "y", None),
        (3, "z", None),
    ]
    assert (job_of(engine).n, job_of(engine).top_logprobs, job_of(engine).best_of) == (3, 0, None)
    usage = answer.json()["usage"]
    assert usage["completion_tokens"] == 9  # all that was drawn
    assert usage["quality"]["candidates"] == 1  # 6 drawn for 4 given


async def test_best_of_n_is_n(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    assert len(await choices(client, n=2, best_of=2)) == 2
    assert job_of(engine).n == 2
    assert [chunk["choices"][0]["text"] for chunk in await streamed(client, best_of=1, max_tokens=1)] == ["Hello", ""]


# ---------------------------------------------------------------- streams


async def test_a_stream_has_the_same_object_in_every_chunk(client: httpx.AsyncClient) -> None:
    chunks = await streamed(client, max_tokens=2)
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert [chunk["choices"] for chunk in chunks] == [
        [{"text": "Hello", "index": 0, "logprobs": None, "finish_reason": None}],
        [{"text": " from", "index": 0, "logprobs": None, "finish_reason": None}],
        [{"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}],
    ]
    assert not any("usage" in chunk for chunk in chunks)


async def test_usage_comes_at_the_end_or_with_every_chunk(client: httpx.AsyncClient) -> None:
    *chunks, last = await streamed(client, max_tokens=2, stream_options={"include_usage": True})
    assert [chunk["usage"] for chunk in chunks] == [None] * 3
    assert last["usage"]["total_tokens"] == 4
    options = {"include_usage": True, "continuous_usage_stats": True}
    *chunks, last = await streamed(client, max_tokens=2, stream_options=options)
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks] == [1, 2, 2]
    assert {chunk["usage"]["prompt_tokens"] for chunk in chunks} == {2}
    assert last["usage"]["completion_tokens"] == 2


async def test_a_client_that_hangs_up_ends_all_prompts(fake: FakeServer, engine: FakeEngine) -> None:
    engine.gate.close()
    engine.gate.let(3)  # reading, and two events
    body = {"model": "everything", "prompt": ["a", "b"], "stream": True}
    async with fake.exchange("POST", "/v1/completions", body=json.dumps(body).encode()) as exchange:
        await engine.gate.until_waiting()
        exchange.hang_up()
    await engine.until_idle()
    assert (engine.started, engine.finished, engine.cut_short) == (1, 0, 1)


async def test_the_sdk_reads_both(fake: FakeServer) -> None:
    transport = httpx2.ASGITransport(app=fake.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        sdk = AsyncOpenAI(api_key=KEY, base_url="http://test/v1", http_client=http, max_retries=0)
        whole = await sdk.completions.create(model="everything", prompt="x", logprobs=1, echo=True, max_tokens=1)
        assert whole.choices[0].text == "xHello"
        assert whole.choices[0].logprobs is not None
        assert whole.choices[0].logprobs.tokens == ["x", "Hello"]
        stream = await sdk.completions.create(model="everything", prompt="x", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in stream]) == TEXT


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt[0]"),
        ({"prompt": [["a"]]}, "prompt[0][0]"),
        ({"prompt": ["a", [1]]}, "prompt[1]"),
        ({"prompt": [1, "a"]}, "prompt[0]"),
        ({"prompt": [True]}, "prompt[0]"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": {"text": "a"}}, "prompt"),
        ({"prompt": ["a"] * 1025}, "prompt"),
        ({"prompt": ["a"] * 1000, "n": 5}, "n"),
        ({"prompt": ["a"] * 1000, "best_of": 5}, "best_of"),
        ({"prompt": "word " * 5000}, "prompt"),
        ({"logprobs": 6}, "logprobs"),
        ({"logprobs": -1}, "logprobs"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"suffix": "end"}, "suffix"),
        ({"suffix": "end", "echo": True}, "echo"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"use_beam_search": True}, "use_beam_search"),
        ({"prompt_embeds": "AAAA"}, "prompt_embeds"),
        ({"logprob_token_ids": [1]}, "logprob_token_ids"),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ({"truncation_side": "right", "truncate_prompt_tokens": 3}, "truncation_side"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(
    client: httpx.AsyncClient, engine: FakeEngine, body: dict[str, Any], param: str
) -> None:
    answer = await ask(client, **body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == (REFUSED, param)
    assert engine.finished == 0


async def test_a_suffix_needs_a_model_that_fills_in(settings: Settings) -> None:
    async with FakeServer(settings, {Task.COMPLETION: {"fim": True}}) as fake, fake.client() as client:
        assert (await choices(client, suffix="end"))[0]["text"] == TEXT
        assert job_of(fake.engines[Task.COMPLETION]).suffix == "end"
        await choices(client, suffix="")
        assert job_of(fake.engines[Task.COMPLETION]).suffix is None


async def test_a_model_without_the_task_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await ask(client, model="fake-speech")
    assert answer.status_code == 404
    assert "fake-completion" in answer.json()["error"]["message"]
