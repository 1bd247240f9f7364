"""POST /v1/moderations over the fake engine, which flags `fight` as violence and `nasty` as harassment."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from openai.types import ModerationCreateResponse

from server.core import CATEGORIES, ModerationJob, Task
from server.engines.fake.engine import FakeEngine
from server.testing import KEY, FakeServer
from server.testing.server import CALLER

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine(fake: FakeServer) -> FakeEngine:
    return fake.engines[Task.MODERATION]


async def post(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/v1/moderations", json={"model": "everything", **body})


def scores(**known: float) -> dict[str, float]:
    return dict.fromkeys(CATEGORIES, 0.0) | {"harassment": 0.01, "violence": 0.01} | known


@pytest.mark.parametrize("path", ["/v1/moderations", "/moderations", "/openai/v1/moderations"])
async def test_each_text_has_a_verdict(client: httpx.AsyncClient, engine: FakeEngine, path: str) -> None:
    texts = ["I will fight you.", "A cat sleeps.", "That nasty man likes to fight."]
    answer = await client.post(path, json={"model": "everything", "input": texts})
    assert answer.status_code == 200
    body = answer.json()
    none = dict.fromkeys(CATEGORIES, False)
    looked_for = {category: ["text"] if category in ("harassment", "violence") else [] for category in CATEGORIES}
    assert body["results"] == [
        {
            "flagged": True,
            "categories": none | {"violence": True},
            "category_scores": scores(violence=0.9),
            "category_applied_input_types": looked_for,
        },
        {
            "flagged": False,
            "categories": none,
            "category_scores": scores(),
            "category_applied_input_types": looked_for,
        },
        {
            "flagged": True,
            "categories": none | {"violence": True, "harassment": True},
            "category_scores": scores(violence=0.9, harassment=0.9),
            "category_applied_input_types": looked_for,
        },
    ]
    assert body["model"] == "everything"
    assert body["id"].startswith("modr-")
    assert body["usage"]["prompt_tokens"] == body["usage"]["total_tokens"] == 13
    assert answer.headers["x-sagehold-model"] == "fake-moderation"
    assert engine.jobs == [ModerationJob(inputs=tuple(texts))]


async def test_it_is_what_the_sdk_declares(client: httpx.AsyncClient) -> None:
    answer = await post(client, input=["I will fight you.", "A cat sleeps."])
    read = ModerationCreateResponse.model_validate_json(answer.content, strict=True)
    assert [result.flagged for result in read.results] == [True, False]
    first = read.results[0]
    for part in (first.categories, first.category_scores, first.category_applied_input_types):
        assert part.model_fields_set == set(type(part).model_fields), "no category is left out"
        assert not part.model_extra, "and none is invented"
    assert (first.categories.violence, first.category_scores.violence) == (True, 0.9)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("A cat sleeps.", ("A cat sleeps.",)),
        (["A cat sleeps."], ("A cat sleeps.",)),
        ([{"type": "text", "text": "A cat"}], ("A cat",)),
        # One input in two parts has one verdict, and what begins in one and ends in the other is seen.
        ([{"type": "text", "text": "I will"}, {"type": "text", "text": "fight"}], ("I will\nfight",)),
    ],
)
async def test_the_forms_of_the_input(
    client: httpx.AsyncClient, engine: FakeEngine, given: Any, read: tuple[str, ...]
) -> None:
    answer = await post(client, input=given, user="u", some_new_field=1)
    assert len(answer.json()["results"]) == 1
    assert engine.jobs == [ModerationJob(inputs=read)]


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "input", "missing_required_parameter"),
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": {}}, "input", "invalid_type"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": ["a", 5]}, "input[1]", "invalid_type"),
        ({"input": ["a", {"type": "text", "text": "a"}]}, "input[1]", "invalid_type"),
        ({"input": [[1, 2]]}, "input[0]", "invalid_type"),
        ({"input": [{"type": "text"}]}, "input[0].text", "missing_required_parameter"),
        ({"input": [{"type": "text", "text": ""}]}, "input[0].text", "invalid_value"),
        ({"input": [{"type": "text", "text": "a"}, PICTURE]}, "input[1].type", "invalid_value"),
        ({"input": [{"type": "sound", "text": "a"}]}, "input[0].type", "invalid_value"),
        ({"input": "a", "model": ""}, "model", "invalid_value"),
        ({"input": "a", "quality": "best"}, "quality", "invalid_value"),
    ],
)
async def test_what_is_wrong_is_named(
    client: httpx.AsyncClient, engine: FakeEngine, body: dict[str, Any], param: str, code: str
) -> None:
    answer = await post(client, **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code), error
    assert engine.jobs == []


async def test_a_picture_is_refused_by_what_it_is(client: httpx.AsyncClient) -> None:
    error = (await post(client, input=[PICTURE])).json()["error"]
    assert "pictures are not moderated here, only text is" in error["message"]
    assert error["param"] == "input[0].type"


async def test_without_a_model_the_first_that_moderates_answers(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/moderations", json={"input": "A cat sleeps."})
    assert (answer.status_code, answer.json()["model"]) == (200, "everything")


def unconfigured(fake: FakeServer) -> None:
    fake.catalog.listed[:] = [
        replace(one, tasks={task: spec for task, spec in one.tasks.items() if task is not Task.MODERATION})
        for one in fake.catalog.listed
    ]


@pytest.mark.parametrize("model", [None, "omni-moderation-latest", "everything", "fake-chat"])
async def test_where_no_model_moderates_that_is_said_and_what_to_do(
    fake: FakeServer, client: httpx.AsyncClient, model: str | None
) -> None:
    unconfigured(fake)
    answer = await client.post("/v1/moderations", json={"input": "A cat sleeps.", "model": model})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (404, "model_not_found", "invalid_request_error")
    assert error["message"].startswith("There is no model here that moderates.")
    assert "moderation.yaml" in error["message"]


async def test_another_model_is_a_404_that_names_those_that_moderate(client: httpx.AsyncClient) -> None:
    error = (await post(client, model="fake-chat", input="A cat sleeps.")).json()["error"]
    assert error["message"].endswith("Models that do: everything, fake-moderation.")
    error = (await post(client, model="nobody", input="A cat sleeps.")).json()["error"]
    assert (error["code"], "`nobody` does not exist" in error["message"]) == ("model_not_found", True)


async def test_a_name_that_the_key_may_not_use_is_not_chosen(fake: FakeServer, client: httpx.AsyncClient) -> None:
    fake.accounts.keys[KEY] = replace(CALLER, models=frozenset({"fake-moderation"}))  # type: ignore[union-attr]
    answer = await client.post("/v1/moderations", json={"input": "A cat sleeps."})
    assert answer.json()["model"] == "fake-moderation"
    fake.accounts.keys[KEY] = replace(CALLER, models=frozenset({"fake-chat"}))  # type: ignore[union-attr]
    answer = await client.post("/v1/moderations", json={"input": "A cat sleeps."})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_key_is_needed(fake: FakeServer) -> None:
    async with fake.client(key=None) as client:
        assert (await client.post("/v1/moderations", json={"input": "A cat sleeps."})).status_code == 401
