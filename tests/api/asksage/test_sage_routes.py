"""The other routes of the Ask Sage dialect that models stand behind; its errors, credentials and tokens."""

import json
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from server.core import Caller, ChatJob, SpeechJob, Task
from server.settings import Settings
from server.testing import KEY, FakeServer
from tests.api.asksage.conftest import Sage, with_shelf

if TYPE_CHECKING:
    from tests.api.conftest import Office

pytestmark = pytest.mark.anyio

FORM = {"content-type": "application/x-www-form-urlencoded"}


def asked(sage: Sage) -> list[dict[str, Any]]:
    job = sage.fake.engines[Task.CHAT].jobs[-1]
    assert isinstance(job, ChatJob)
    return [dict(message) for message in job.messages]


# ---------------------------------------------------------------- models, tokens, counts


@pytest.mark.parametrize("request_", [("GET", None), ("POST", None), ("POST", {})])
async def test_models(sage: Sage, request_: tuple[str, Any]) -> None:
    method, body = request_
    answer = await sage.http.request(method, "/server/get-models", json=body, headers={"x-access-tokens": ""})
    told = answer.json()
    assert (told["object"], told["status"]) == ("list", 200)
    assert told["response"] == [one["id"] for one in told["data"]]
    assert told["response"][:2] == ["everything", "fake-chat"]
    assert told["data"][0] == {
        "created": "na", "id": "everything", "name": "everything", "object": "model", "owned_by": "local",
    }  # fmt: skip


async def test_models_in_full_and_those_of_a_key(sage: Sage) -> None:
    full = (await sage.http.get("/server//get-models/?format=full")).json()["data"][0]
    assert (full["context"], full["token_conversion_rate"], full["vendor"]) == (4096, 1.0, "local")
    assert "chat" in full["capabilities"]
    sage.fake.accounts.keys["sk-narrow"] = Caller("key_n", "acct_n", models=frozenset({"fake-chat"}))  # type: ignore[attr-defined]
    told = await sage.json("/server/get-models", headers={"x-access-tokens": "sk-narrow"})
    assert told["response"] == ["fake-chat"]
    assert (await sage.json("/server/get-models", headers={"x-access-tokens": "wrong"}))["response"] == (
        "Token is invalid [2]"
    )


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"content": "abc"}, "3"),
        ({"content": "abc", "model": "ada-002"}, "3"),
        ({"content": "ab", "model": "everything", "completion_estimate": 5}, "2"),
        ({"content": "ab", "completion_estimate": 5, "convert_to_asksage": True}, "7"),
        ({"content": ""}, "0"),
    ],
)
async def test_tokens_are_digits_in_a_text(sage: Sage, body: dict[str, Any], count: str) -> None:
    assert await sage.json("/server/tokenizer", body) == {"response": count, "status": 200}
    if body["content"]:
        assert (await sage.http.get("/server/tokenizer", params=body)).json()["response"] == count


@pytest.mark.parametrize("name", ["count-monthly-tokens", "count-monthly-teach-tokens"])
async def test_counts_are_integers_without_a_body_too(sage: Sage, name: str) -> None:
    for request in ({}, {"json": {"app_name": "asksage"}}):
        assert (await sage.http.post(f"/server/{name}", **request)).json() == {"response": 0, "status": 200}
    assert (await sage.http.get(f"/server/{name}")).json() == {"response": 0, "status": 200}


async def test_tokens_of_this_month_and_what_is_left(office: "Office") -> None:
    with_shelf(office.fake)
    await office.administration.create_account("team", credits=Decimal(1000))
    key = await office.key("inference", account="team")
    async with office.fake.client(key=key) as http:
        told = (await http.post("/server/query", json={"message": "one two", "system_prompt": "x"})).json()
        assert told["status"] == 200
        await http.post("/v1/embeddings", json={"model": "everything", "input": "a b c"})
        assert (await http.get("/server/count-monthly-tokens")).json()["response"] == 3 + 5
        assert (await http.get("/server/count-monthly-teach-tokens")).json()["response"] == 3
        assert (await http.get("/server/count-monthly-tokens-left-with-org")).json()["response"] == 1000
    free = await office.key("inference", account="default")
    async with office.fake.client(key=free) as http:
        assert (await http.get("/server/count-monthly-tokens-left-with-org")).json()["response"] == 2**53 - 1


async def test_a_vote(sage: Sage) -> None:
    uuid = (await sage.json("/server/query", {"message": "x"}))["uuid"]
    assert await sage.json("/server/vote-down", {"uuid": uuid}) == {"response": "OK", "status": 200}
    assert sage.shelf.voted == [uuid] == [sage.shelf.asked[0]["uuid"]]


# ---------------------------------------------------------------- plugins and follow-up questions


async def test_plugins_as_the_official_client_uses_them(sage: Sage) -> None:
    plugins = (await sage.http.post("/server/get-plugins")).json()["response"]
    assert all(isinstance(one["prompt_template"], str) and isinstance(one["id"], str) for one in plugins)
    for one in plugins:
        values = {field["name"]: f"<{field['name']}>" for field in one["fields"]}
        text = one["prompt_template"].format(**values)  # KeyError where a field is not named
        assert text.startswith(f"[[{one['plugin_name']}]] ")
        body = httpx.QueryParams({"message": text, "persona": "default", "temperature": "0.0", "live": "0"})
        await sage.http.post("/server/query", content=str(body), headers=FORM)
        assert asked(sage)[-1]["content"] == text.partition("]] ")[2]
        direct = {"plugin_name": one["plugin_name"], "plugin_values": values}
        assert (await sage.json("/server/execute-plugin", direct))["type"] == "completion"
        assert asked(sage)[-1]["content"] == text.partition("]] ")[2]


@pytest.mark.parametrize("name", ["translate", "[[translate]]", "Translate", "2"])
@pytest.mark.parametrize(
    "values",
    [
        {"text": "Haus {0.__class__}", "language": "English"},
        ["Haus {0.__class__}", "English"],
        [{"name": "language", "value": "English"}, {"name": "text", "value": "Haus {0.__class__}"}],
    ],
)
async def test_execute_plugin(sage: Sage, name: str, values: Any) -> None:
    form = {"plugin_name": name, "plugin_values": json.dumps(values)}
    told = await sage.json("/server/execute-plugin", data=form)
    assert (told["status"], told["message"]) == (200, "Hello from the fake engine.")
    assert asked(sage)[-1]["content"] == (
        "Translate the following text into English. Keep its meaning, names and numbers.\n\nHaus {0.__class__}"
    )
    assert sage.shelf.searches == []


async def test_query_plugin_and_what_a_plugin_lacks(sage: Sage) -> None:
    told = await sage.json("/server/query-plugin", {"plugin_tag": "summarize", "params": {"text": "Long."}})
    assert told["type"] == "completion"
    for body, status, param in (
        ({}, 400, "plugin_name"),
        ({"plugin_name": "nothing"}, 404, "plugin_name"),
        ({"plugin_name": "translate", "plugin_values": {"text": "x"}}, 400, "plugin_values.language"),
        ({"plugin_name": "translate", "plugin_values": "{broken"}, 400, "plugin_values"),
    ):
        told = await sage.json("/server/execute-plugin", body)
        assert (told["status"], told["param"]) == (status, param)


@pytest.mark.parametrize("path", ["/server/follow-up-questions", "/server/follow_up_questions"])
async def test_follow_up_questions(sage: Sage, path: str) -> None:
    told = await sage.json(path, {"message": "What is the capital of Japan?"})
    assert (told["type"], told["message"]) == ("completion", "Hello from the fake engine.")
    system, question = asked(sage)
    assert system["content"].startswith("Write three short questions")
    assert question["content"] == "What is the capital of Japan?"
    assert (await sage.http.get(path, params={"message": "What?"})).json()["type"] == "completion"
    assert sage.shelf.searches == []


# ---------------------------------------------------------------- speech


async def test_speech(sage: Sage) -> None:
    answer = await sage.http.post("/server/get-text-to-speech", json={"text": "Good morning"})
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "audio/mpeg", b"Good morning")
    job = sage.fake.engines[Task.SPEECH].jobs[-1]
    assert isinstance(job, SpeechJob)
    assert (job.voice, job.format) == ("alloy", "mp3")
    told = await sage.json("/server/get-text-to-speech", {"text": "Guten Morgen", "language_code": "de-DE"})
    assert (told["status"], told["param"]) == (400, "language_code")
    assert (await sage.json("/server/get-text-to-speech", {"text": "x", "model": "loud"}))["status"] == 404


# ---------------------------------------------------------------- errors


@pytest.fixture(params=[False, True], ids=["faithful", "strict"])
async def either(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, bool]]:
    strict = bool(request.param)
    async with FakeServer(settings.model_copy(update={"asksage_strict_status": strict})) as fake:
        with_shelf(fake)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(fake.app), base_url="http://test") as http:
            yield http, strict


async def test_errors_in_both_ways(either: tuple[httpx.AsyncClient, bool], caplog: pytest.LogCaptureFixture) -> None:
    http, strict = either
    right = {"x-access-tokens": KEY}
    token = 401 if strict else 400
    cases: list[tuple[httpx.Response, int, int, dict[str, Any]]] = [
        (
            await http.post("/server/query", json={"message": "x"}),
            401, token, {"error": "invalid_request_error", "response": "Token is invalid [1]"},
        ),
        (
            await http.post("/server/query", json={"message": "x"}, headers={"x-access-tokens": "wrong"}),
            401, token, {"error": "invalid_api_key", "response": "Token is invalid [2]"},
        ),
        (
            await http.post("/server/query", json={"message": 7}, headers=right),
            400, 400, {
                "error": "invalid_type", "param": "message",
                "response": "Invalid type for 'message': expected a string or an array, but got an integer instead.",
            },
        ),
        (
            await http.post("/server/list-mcp-tools", headers=right),
            404, 404, {
                "error": "unknown_url",
                "response": "Invalid URL (POST /server/list-mcp-tools): this server does not have it. This server "
                "calls no MCP servers: call functions of your own by `tools` of /server/query.",
            },
        ),
        (
            await http.delete("/server/query", headers=right),
            405, 405, {"error": "method_not_supported", "response": "Not allowed to DELETE on /server/query."},
        ),
    ]  # fmt: skip
    for answer, status, told, body in cases:
        assert answer.status_code == (status if strict else 200)
        assert answer.content == orjson.dumps(body | {"status": told}, option=orjson.OPT_SORT_KEYS) + b"\n"
        assert answer.headers["content-type"] == "application/json"
    gone = await http.post("/server/query", json={"message": "x", "model": "gpt-9"}, headers=right)
    assert (gone.status_code, gone.json()["status"]) == ((404, 404) if strict else (200, 200))


async def test_the_log_and_the_metrics_have_the_true_status(sage: Sage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await sage.json("/server/query", {"message": "x", "live": 9})
    await sage.json("/server/query", {"message": "x", "model": "gpt-9"})
    await sage.json("/server/query", {"message": "x"})
    metrics = (await sage.http.get("/metrics")).text
    lines = [line for line in metrics.splitlines() if 'route="/server/query"' in line and "requests_total" in line]
    found = {status: line for line in lines for status in ("200", "400", "404") if f'status="{status}"' in line}
    assert set(found) == {"200", "400", "404"}
    assert all(line.endswith(" 1.0") for line in found.values())


async def test_limits_keep_their_headers(sage: Sage) -> None:
    from server.core import Limits

    busy = Caller("key_b", "acct_b", limits=Limits(requests_per_minute=0))
    sage.fake.accounts.keys["sk-busy"] = busy  # type: ignore[attr-defined]
    answer = await sage.http.post("/server/query", json={"message": "x"}, headers={"x-access-tokens": "sk-busy"})
    assert (answer.status_code, answer.json()["status"]) == (200, 429)
    assert int(answer.headers["retry-after"]) > 0


async def test_openais_routes_keep_their_errors(sage: Sage) -> None:
    for path in ("/server/v1/models", "/server/openai/v1/models", "//server//v1/models"):
        answer = await sage.http.get(path, headers={"x-access-tokens": ""})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, None)
        answer = await sage.http.get(path, headers={"authorization": f"Bearer {KEY}"})
        assert answer.json()["data"][0]["id"] == "everything"


async def test_a_bearer_key_is_as_good(sage: Sage) -> None:
    headers = {"x-access-tokens": "", "authorization": f"Bearer {KEY}"}
    assert (await sage.json("/server/query", {"message": "x"}, headers=headers))["status"] == 200


# ---------------------------------------------------------------- tokens


async def test_a_token_works_wherever_a_key_does(office: "Office") -> None:
    shelf = with_shelf(office.fake)
    await office.administration.accounts.create_account("team", metered=False, email="ann@example.com")
    new = await office.administration.accounts.create_key(account="team")
    path = "/user/get-token-with-api-key"
    async with office.fake.client(key=None) as http:
        for sent in (
            {"json": {"email": "Ann@example.com", "api_key": new.key}},
            {"data": {"email": "Ann@example.com", "api_key": new.key}},
            {"files": {"email": (None, "ann@example.com"), "api_key": (None, new.key)}},
        ):
            answer = await http.post(path, **sent)
            assert answer.status_code == 200
            told = answer.json()
            assert set(told) == {"response", "status"}
            assert told["status"] == "200"
        token = told["response"]["access_token"]
        asking = {"json": {"message": "x"}, "headers": {"x-access-tokens": token}}
        assert (await http.post("/server/query", **asking)).json()["message"] == "Hello from the fake engine."
        bearer = {"authorization": f"Bearer {token}"}
        assert (await http.get("/v1/models", headers=bearer)).status_code == 200
        for wrong in ({"email": "bob@example.com", "api_key": new.key}, {"api_key": new.key}, {"api_key": token}):
            told = (await http.post(path, json=wrong)).json()
            assert told == {
                "error": "invalid_credentials",
                "response": "The e-mail address or the API key is wrong.",
                "status": 401,
            }
        assert (await http.post(path, json={"email": "x"})).json()["param"] == "api_key"
        await office.administration.accounts.revoke_key(new.record.id)
        assert (await http.post("/server/query", **asking)).json() == {
            "error": "invalid_api_key", "response": "Token is invalid [2]", "status": 401,
        }  # fmt: skip
        assert (await http.get("/v1/models", headers=bearer)).status_code == 401
    account = new.record.account_id
    assert shelf.logins == [(account, True)] * 3 + [(account, False)] * 2


async def test_without_keys_every_token_is_as_good(settings: Settings) -> None:
    async with FakeServer(settings.model_copy(update={"auth": "off"})) as fake, fake.client(key=None) as http:
        told = (await http.post("/user/get-token-with-api-key", json={"email": "a@b.c", "api_key": "KEY"})).json()
        assert told == {"response": {"access_token": "KEY"}, "status": "200"}
        told = (await http.post("/server/query", json={"message": "x"}, headers={"x-access-tokens": "KEY"})).json()
        assert told["message"] == "Hello from the fake engine."
