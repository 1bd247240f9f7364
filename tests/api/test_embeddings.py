"""POST /v1/embeddings over the fake engine, whose vectors are made of the inputs' hashes."""

import base64
import struct
from typing import Any

import httpx
import httpx2
import pytest
from openai import AsyncOpenAI

from server.core import EmbeddingJob, Embeddings, Facts, Task, Usage
from server.engines.fake.engine import FakeEngine
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.EMBEDDING]


async def embed(client: httpx.AsyncClient, given: Any, **body: Any) -> httpx.Response:
    return await client.post("/v1/embeddings", json={"model": "everything", "input": given, **body})


async def test_a_vector_of_floats_for_each_text(client: httpx.AsyncClient, fake: FakeServer) -> None:
    fake.engines[Task.EMBEDDING].script.append(
        [Facts(prompt_tokens=7), Embeddings(struct.pack("<4f", 0.1, -0.5, 1.0, 0.25), 2), Usage(prompt_tokens=7)]
    )
    answer = await embed(client, ["One.", "Two."])
    assert answer.status_code == 200
    body = answer.json()
    assert body["object"] == "list"
    assert body["model"] == "everything"
    assert body["data"] == [
        {"object": "embedding", "index": 0, "embedding": [0.1, -0.5]},
        {"object": "embedding", "index": 1, "embedding": [1.0, 0.25]},
    ]
    assert {name: body["usage"][name] for name in ("prompt_tokens", "total_tokens")} == {
        "prompt_tokens": 7,
        "total_tokens": 7,
    }
    # As many digits as a float32 has, and not those of the double next to it.
    assert b"[0.1,-0.5]" in answer.content
    assert answer.headers["x-sagehold-model"] == "fake-embedding"


async def test_base64_is_little_endian_float32(client: httpx.AsyncClient) -> None:
    floats = (await embed(client, "One.")).json()["data"][0]["embedding"]
    text = (await embed(client, "One.", encoding_format="base64")).json()["data"][0]["embedding"]
    assert list(struct.unpack("<8f", base64.b64decode(text))) == pytest.approx(floats, abs=1e-7)


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("One.", ("One.",)),
        (["One.", " "], ("One.", " ")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
async def test_the_four_forms_of_input(
    client: httpx.AsyncClient, engine: FakeEngine, given: Any, inputs: tuple[Any, ...]
) -> None:
    answer = await embed(client, given, user="me", dimensions=4, truncate_prompt_tokens=-1, unknown=1)
    assert answer.status_code == 200
    assert engine.jobs == [EmbeddingJob(inputs=inputs, dimensions=4, truncate=-1)]
    assert [len(one["embedding"]) for one in answer.json()["data"]] == [4] * len(inputs)


async def test_nulls_are_absent(client: httpx.AsyncClient, engine: FakeEngine) -> None:
    answer = await embed(
        client, "One.", encoding_format=None, dimensions=None, user=None, truncate_prompt_tokens=None, messages=None
    )
    assert answer.status_code == 200
    assert engine.jobs == [EmbeddingJob(inputs=("One.",))]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": [[]]}, "input[0]", "invalid_value"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"input": ["a", 1]}, "input[1]", "invalid_type"),
        ({"input": [1, "a"]}, "input", "invalid_type"),
        ({"input": [[1], [True]]}, "input[1]", "invalid_type"),
        ({"input": [1.5]}, "input[0]", "invalid_type"),
        ({"input": [True]}, "input[0]", "invalid_type"),
        ({"input": [None]}, "input[0]", "invalid_type"),
        ({"input": {"text": "a"}}, "input", "invalid_type"),
        ({"input": 7}, "input", "invalid_type"),
        ({"encoding_format": "bytes"}, "encoding_format", "invalid_value"),
        ({"dimensions": 0}, "dimensions", "invalid_value"),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens", "invalid_value"),
        ({"truncate_prompt_tokens": -2}, "truncate_prompt_tokens", "invalid_value"),
        ({"truncation_side": "middle"}, "truncation_side", "invalid_value"),
        ({"embed_dtype": "float16"}, "embed_dtype", "invalid_value"),
        ({"endianness": "big"}, "endianness", "invalid_value"),
        ({"add_special_tokens": False}, "add_special_tokens", "invalid_value"),
        ({"use_activation": False}, "use_activation", "invalid_value"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "messages", "invalid_value"),
        ({"quality": "best"}, "quality", "invalid_value"),
    ],
)
async def test_what_is_wrong_is_named(
    client: httpx.AsyncClient, engine: FakeEngine, body: dict[str, Any], param: str, code: str
) -> None:
    answer = await client.post("/v1/embeddings", json={"model": "everything", "input": "One.", **body})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert engine.jobs == []


async def test_the_engines_refusal_comes_through(settings: Settings) -> None:
    refusing = {Task.EMBEDDING: {"refuse": "That is too long."}}
    async with FakeServer(settings, refusing) as server, server.client() as client:
        answer = await embed(client, "One.")
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "That is too long.")


async def test_a_model_without_the_task_names_those_that_have_it(client: httpx.AsyncClient) -> None:
    answer = await embed(client, "One.", model="fake-chat")
    assert answer.status_code == 404
    assert "fake-embedding" in answer.json()["error"]["message"]


async def test_the_sdk_reads_it(fake: FakeServer) -> None:
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(fake.app)) as http,
        AsyncOpenAI(api_key=KEY, base_url="http://test/v1", http_client=http) as sdk,
    ):
        found = await sdk.embeddings.create(model="everything", input=["One.", "Two."])
        floats = await sdk.embeddings.create(model="everything", input=["One.", "Two."], encoding_format="float")
    assert [len(one.embedding) for one in found.data] == [8, 8]
    assert found.data[1].embedding == pytest.approx(floats.data[1].embedding, abs=1e-7)
    assert found.usage.prompt_tokens == found.usage.total_tokens == 2
