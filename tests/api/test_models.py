"""GET /v1/models and what surrounds it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, AuthenticationError, NotFoundError

from server.core import Caller, Task
from server.models.config.spec import DiffusersModel, Price
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio


async def test_every_public_name_is_listed_with_its_abilities(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/models")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    listing = answer.json()
    assert listing["object"] == "list"
    everything = listing["data"][0]
    assert everything["id"] == "everything"
    assert everything["object"] == "model"
    assert everything["created"] == 1_700_000_000
    assert everything["owned_by"] == "local"
    assert everything["capabilities"] == [*Task]
    assert everything["state"] == "ready"
    assert "reason" not in everything
    assert everything["models"]["chat"] | {"memory": {}} == {"model": "fake-chat", "state": "ready", "memory": {}}


async def test_a_model_that_chats_tells_what_its_messages_may_hold(fake: FakeServer, client: httpx.AsyncClient) -> None:
    models = {one["id"]: one for one in (await client.get("/v1/models")).json()["data"]}
    # `everything` has a model that transcribes under the same name.
    assert models["everything"]["input_modalities"] == ["text", "image", "audio"]
    assert models["fake-chat"]["input_modalities"] == ["text", "image"]
    assert "input_modalities" not in models["fake-speech"]


async def test_memory_is_shown_by_model_and_device(client: httpx.AsyncClient) -> None:
    listing = (await client.get("/v1/models")).json()
    assert listing["memory"] == {"budget": {"host": 1 << 30, "gpus": {"0": 1 << 30}}}
    assert listing["data"][0]["models"]["speech"]["memory"] == {
        "held": {"host": 3 << 20, "gpus": {"0": 5 << 20}},
        "reported": {"host": 2 << 20, "gpus": {}},
    }


async def test_a_price_is_a_plain_decimal_string(fake: FakeServer, client: httpx.AsyncClient) -> None:
    price = Price(prompt_token=Decimal("0.00040"), completion_token=Decimal("1E-9"), image=Decimal(20))
    fake.catalog.listed[0] = replace(fake.catalog.listed[0], price=price)
    shown = (await client.get("/v1/models/everything")).json()["price"]
    assert shown["prompt_token"] == "0.0004"
    assert shown["completion_token"] == "0.000000001"
    assert shown["image"] == "20"
    assert shown["character"] == "0"


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        ({}, []),  # any that the pipeline can draw
        ({"sizes": ("64x64", "96x64")}, ["64x32", "64x64", "96x64"]),
        ({"sizes": ("64x32", "96x64")}, ["64x32", "96x64"]),
        ({"resample": "lanczos"}, ["64x32"]),
    ],
)
async def test_an_image_model_tells_its_sizes_and_how_it_draws(
    fake: FakeServer, client: httpx.AsyncClient, config: dict[str, Any], sizes: list[str]
) -> None:
    spec = DiffusersModel(
        name="fake-image", engine="diffusers", path="drawing", size=(64, 32), steps=12, guidance=2, **config
    )
    fake.catalog.listed[0] = replace(fake.catalog.listed[0], tasks={Task.IMAGE: spec})
    shown = (await client.get("/v1/models/everything")).json()["image"]
    assert shown == {"size": "64x32", "sizes": sizes, "steps": 12, "guidance": 2}
    assert "image" not in (await client.get("/v1/models/fake-chat")).json()


async def test_an_adapter_tells_its_parent(fake: FakeServer, client: httpx.AsyncClient) -> None:
    assert "parent" not in (await client.get("/v1/models/everything")).json()
    fake.catalog.listed[0] = replace(fake.catalog.listed[0], parent="fake-chat")
    assert (await client.get("/v1/models/everything")).json()["parent"] == "fake-chat"


async def test_a_failed_model_says_why(fake: FakeServer, client: httpx.AsyncClient) -> None:
    fake.registry.failed["fake-speech"] = "The probe heard only noise."
    everything = (await client.get("/v1/models/everything")).json()
    assert everything["state"] == "failed"
    assert everything["reason"] == "The probe heard only noise."
    assert everything["models"]["chat"]["state"] == "ready"
    assert (await client.get("/v1/models/fake-chat")).json()["state"] == "ready"


@pytest.mark.parametrize("path", ["/v1/models/org/name:7b", "/v1/models/org%2Fname:7b", "/v1//models/org/name:7b/"])
async def test_ids_with_slashes_are_found_raw_and_encoded(
    fake: FakeServer, client: httpx.AsyncClient, path: str
) -> None:
    fake.catalog.listed.append(replace(fake.catalog.listed[1], id="org/name:7b"))
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.json()["id"] == "org/name:7b"


async def test_an_unknown_id_is_model_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/models/no-such")
    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "message": "The model `no-such` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }


async def test_a_key_sees_only_the_models_it_may_use(fake: FakeServer, client: httpx.AsyncClient) -> None:
    fake.accounts.keys[KEY] = Caller("key_test", "acct_test", models=frozenset({"fake-chat"}))
    assert [model["id"] for model in (await client.get("/v1/models")).json()["data"]] == ["fake-chat"]
    assert (await client.get("/v1/models/everything")).status_code == 404
    assert (await client.get("/v1/audio/models")).json()["models"] == []
    assert (await client.get("/v1/audio/voices")).json()["voices"] == []


async def test_an_answer_is_not_as_long_as_the_name_that_was_asked_for(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/v1/models/{'x' * 5000}")
    assert answer.status_code == 404
    assert len(answer.json()["error"]["message"]) < 256


async def test_head_answers_as_get_does(client: httpx.AsyncClient) -> None:
    assert (await client.head("/v1/models")).status_code == 200
    assert (await client.head(f"/v1/models/fake-{Task.CHAT}")).status_code == 200


async def test_the_openai_sdk_lists_retrieves_and_raises_its_own_errors(fake: FakeServer) -> None:
    fake.catalog.listed.append(replace(fake.catalog.listed[1], id="org/name"))
    async with fake.client(key=None) as http:
        sdk = AsyncOpenAI(api_key=KEY, base_url="http://test/v1", http_client=http, max_retries=0)
        assert "org/name" in [model.id async for model in sdk.models.list()]
        assert (await sdk.models.retrieve("org/name")).owned_by == "local"
        with pytest.raises(NotFoundError) as missing:
            await sdk.models.retrieve("no-such")
        assert missing.value.code == "model_not_found"
        assert missing.value.request_id is not None
        assert missing.value.request_id.startswith("req_")
        with pytest.raises(AuthenticationError) as refused:
            await sdk.with_options(api_key="sk-wrong").models.list()
        assert refused.value.code == "invalid_api_key"
