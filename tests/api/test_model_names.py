"""What GET /v1/models tells of language models, in which order, and by which names one is found."""

from dataclasses import replace

import httpx
import pytest

from server.core import Caller, Task
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio


async def test_names_that_chat_come_first(fake: FakeServer, client: httpx.AsyncClient) -> None:
    fake.catalog.listed.reverse()  # whatever the configs' order
    ids = [model["id"] for model in (await client.get("/v1/models")).json()["data"]]
    assert ids[:2] == ["fake-chat", "everything"]
    assert ids[2:] == [one.id for one in fake.catalog.listed if Task.CHAT not in one.tasks]


async def test_a_language_model_tells_its_context_and_root(fake: FakeServer, client: httpx.AsyncClient) -> None:
    models = {model["id"]: model for model in (await client.get("/v1/models")).json()["data"]}
    assert (models["everything"]["root"], models["everything"]["max_model_len"]) == ("fake-chat", 4096)
    assert (models["fake-completion"]["root"], models["fake-completion"]["max_model_len"]) == ("fake-completion", 4096)
    assert not {"root", "max_model_len"} & models["fake-speech"].keys()


@pytest.mark.parametrize("suffix", ["ultra", "low", "HD", "auto"])
async def test_a_name_is_found_with_its_quality_as_a_chat_finds_it(client: httpx.AsyncClient, suffix: str) -> None:
    asked = f"everything:{suffix}"
    found = (await client.get(f"/v1/models/{asked}")).json()
    assert found == (await client.get("/v1/models/everything")).json() | {"id": asked}
    chat = await client.post(
        "/v1/chat/completions", json={"model": asked, "messages": [{"role": "user", "content": "hi"}]}
    )
    assert chat.json()["model"] == asked


@pytest.mark.parametrize("asked", ["everything:ultr", "everything:", "no-such:ultra", "no-such:x"])
async def test_a_wrong_suffix_is_told_in_the_words_of_a_chat(client: httpx.AsyncClient, asked: str) -> None:
    found = await client.get(f"/v1/models/{asked}")
    chat = await client.post(
        "/v1/chat/completions", json={"model": asked, "messages": [{"role": "user", "content": "hi"}]}
    )
    assert found.status_code == chat.status_code
    assert found.json()["error"] == chat.json()["error"]


async def test_a_configured_name_is_never_cut(fake: FakeServer, client: httpx.AsyncClient) -> None:
    fake.catalog.listed.append(replace(fake.catalog.listed[1], id="acme/chat:ultra", description="its own"))
    assert (await client.get("/v1/models/acme/chat:ultra")).json()["description"] == "its own"


async def test_a_name_that_a_key_may_not_use_is_not_there_with_a_suffix_either(fake: FakeServer) -> None:
    fake.accounts.keys[KEY] = Caller(key_id="k", account_id="a", models=frozenset({"fake-chat"}))  # type: ignore[attr-defined]
    async with fake.client() as client:
        assert (await client.get("/v1/models/fake-chat:ultra")).status_code == 200
        assert (await client.get("/v1/models/everything:ultra")).status_code == 404


async def test_a_key_for_some_models_is_told_of_no_others(fake: FakeServer) -> None:
    body = {"model": "fake-speech", "messages": [{"role": "user", "content": "hi"}]}
    told = {}
    for models in (None, {"fake-speech"}, {"fake-speech", "everything"}):
        allowed = None if models is None else frozenset(models)
        fake.accounts.keys[KEY] = Caller(key_id="k", account_id="a", models=allowed)  # type: ignore[attr-defined]
        async with fake.client() as client:
            answer = await client.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
        told[str(allowed and sorted(allowed))] = answer.json()["error"]["message"]
    alone = "The model `fake-speech` has no model for chat."
    assert told == {
        "None": f"{alone} Models that do: everything, fake-chat.",
        "['fake-speech']": alone,
        "['everything', 'fake-speech']": f"{alone} Models that do: everything.",
    }
