"""/server/query: what comes in, what the model is asked, and what goes out."""

import io
import itertools
import re
from dataclasses import replace
from typing import Any

import orjson
import pytest
from PIL import Image

from server.api import sse
from server.api.asksage.dialect import ESCAPED, SEPARATOR
from server.api.turns import Turns
from server.core import ChatJob, Task
from server.errors import InsufficientCredits, KnowledgeUnavailable
from server.knowledge.prompt import FILE_RULE
from server.knowledge.records import Live, WebResult
from server.testing import KEY
from tests.api.asksage.conftest import HANDBOOK, Sage, passage

pytestmark = pytest.mark.anyio

KEYS = {
    "added_obj", "citations", "embedding_down", "error", "live_unavailable", "message", "provenance", "references",
    "response", "sources", "status", "tool_calls", "tool_calls_unified", "tool_responses", "type", "usage", "uuid",
    "vectors_down",
}  # fmt: skip
FORM = {"content-type": "application/x-www-form-urlencoded"}
TOOL = {"name": "weather", "description": "The weather.", "parameters": {"type": "object", "properties": {}}}


def job(sage: Sage) -> ChatJob:
    found = sage.fake.engines[Task.CHAT].jobs[-1]
    assert isinstance(found, ChatJob)
    return found


def messages(sage: Sage) -> list[dict[str, Any]]:
    return [dict(message) for message in job(sage).messages]


async def test_the_official_clients_smallest_form(sage: Sage) -> None:
    body = "message=hi&persona=default&dataset=all&temperature=0.0&live=0&model=openai_gpt"
    answer = await sage.http.post("/server/query", content=body, headers=FORM)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-sagehold-model"] == "fake-chat"
    told = answer.json()
    assert set(told) == KEYS
    assert list(told) == sorted(KEYS)
    assert answer.content.endswith(b"}\n")
    assert (told["message"], told["response"], told["status"]) == ("Hello from the fake engine.", "OK", 200)
    assert (told["type"], told["tool_calls"], told["tool_calls_unified"]) == ("completion", None, [])
    assert (told["references"], told["usage"], told["embedding_down"]) == ("", None, False)
    assert told["provenance"]["persona"] == {"id": 1, "version": 1}
    assert messages(sage) == [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "hi"},
    ]
    assert (job(sage).temperature, job(sage).max_tokens) == (0.0, None)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        (
            {
                "model": "everything",
                "messages": [
                    {"role": "system", "content": "You are a helpful assistant."},
                    {"role": "user", "content": "Explain quantum computing in simple terms."},
                ],
            },
            [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Explain quantum computing in simple terms."},
            ],
        ),
        (
            {"model": "everything", "message": "What is machine learning?"},
            [
                {"role": "system", "content": "You are helpful."},
                {"role": "user", "content": "What is machine learning?"},
            ],
        ),
        (
            {
                "model": "everything",
                "messages": [{"role": "user", "content": "Tell me about renewable energy."}],
                "persona": 1,
                "limit_references": 5,
                "live": 1,
                "temperature": 0.7,
            },
            [
                {"role": "system", "content": "You are helpful."},
                {"role": "user", "content": "Tell me about renewable energy."},
            ],
        ),
    ],
)
async def test_the_samples_of_its_guide(sage: Sage, body: dict[str, Any], asked: list[dict[str, str]]) -> None:
    assert (await sage.json("/server/query", body))["message"] == "Hello from the fake engine."
    assert messages(sage) == asked
    assert job(sage).temperature == body.get("temperature", 0.0)
    assert sage.shelf.lived == ([("Tell me about renewable energy.", 1)] if "live" in body else [])


async def test_as_cline_asks(sage: Sage) -> None:
    body = {
        "system_prompt": "You are Cline.",
        "message": [
            {"user": "me", "message": "Hello"},
            {"user": "gpt", "message": "Hi."},
            {"user": "me", "message": "Go on"},
        ],
        "model": "everything",
        "dataset": "none",
        "usage": True,
    }
    told = await sage.json("/server/query", body)
    assert messages(sage) == [
        {"role": "system", "content": "You are Cline."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Go on"},
    ]
    model = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    assert told["usage"] == {"model_tokens": model, "asksage_tokens": 12}
    assert told["provenance"]["persona"] is None
    assert sage.shelf.searches == []
    assert sage.shelf.asked[0]["prompt"] == "Go on"


async def test_as_continue_asks_with_everything(sage: Sage) -> None:
    body = {
        "message": [{"user": "me", "message": "é"}],
        "model": "everything:low",
        "temperature": 0.2,
        "mode": "chat",
        "limit_references": 0,
        "persona": 2,
        "tools": [{"type": "function", "function": TOOL}],
        "tool_choice": '{"type": "function", "function": {"name": "weather"}}',
        "reasoning_effort": "low",
    }
    told = await sage.json("/server/query", body)
    asked = job(sage)
    assert (asked.tools[0].name, asked.tool_choice, asked.reasoning_effort) == ("weather", ("weather",), "low")
    assert told["provenance"]["persona"] == {"id": 2, "version": 4}
    assert told["provenance"]["model"] == "everything:low"
    assert sage.shelf.searches == []


@pytest.mark.parametrize("tool", [TOOL, {"type": "function", "function": TOOL}])
@pytest.mark.parametrize("form", [True, False])
async def test_calls_of_functions(sage: Sage, tool: dict[str, Any], form: bool) -> None:
    fields: dict[str, Any] = {"message": "How is the weather?", "tools": [tool], "tool_choice": "required"}
    if form:
        texts = {name: orjson.dumps(value).decode() for name, value in fields.items()}
        told = await sage.json("/server/query", data=texts)
    else:
        told = await sage.json("/server/query", fields)
    assert messages(sage)[-1]["content"] == "How is the weather?"
    (call,) = told["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "weather")
    assert isinstance(orjson.loads(call["function"]["arguments"]), dict)
    assert told["tool_calls_unified"] == told["tool_calls"]


async def test_an_answer_names_what_it_draws_on(sage: Sage) -> None:
    sage.shelf.passages = [passage("Leave is 30 days."), passage("Ask the office.", filename="office.txt", page=None)]
    sage.shelf.live = Live((WebResult("Leave", "https://example.org/leave", "About leave"),))
    told = await sage.json("/server/query", {"message": "How long is leave?", "live": 1, "dataset": "handbook"})
    system, asked = (message["content"] for message in messages(sage))
    assert system.startswith("You are helpful.")
    assert "Leave is 30 days." in asked
    assert "Ask the office." in asked
    assert "About leave" in asked
    assert asked.endswith("How long is leave?")
    assert sage.shelf.searches == [("How long is leave?", ["handbook"], 5)]
    first, second, third = told["references"].splitlines()
    assert first.startswith("[1] Leave is 30 days. - Metadata: {")
    assert '"rules.pdf"' in first
    assert second.startswith("[2] Ask the office. - Metadata: {")
    assert third == "[3] Article Title: Leave - Link: https://example.org/leave - Article Description: About leave"
    assert [(one["number"], one.get("filename"), one.get("page")) for one in told["citations"]] == [
        (1, "rules.pdf", 3), (2, "office.txt", None), (3, None, None),
    ]  # fmt: skip
    assert told["citations"][0]["dataset"] == HANDBOOK.full_name == "user_custom_7_handbook_content"
    assert [one["filename"] for one in told["sources"]] == ["rules.pdf", "office.txt"]
    assert told["provenance"]["datasets"] == [HANDBOOK.full_name]


@pytest.mark.parametrize(("limit", "searched"), [(None, 5), (0, None), (2, 2), (10_000, 50)])
async def test_how_many_references(sage: Sage, limit: int | None, searched: int | None) -> None:
    await sage.json("/server/query", {"message": "x", "limit_references": limit})
    assert [most for _, _, most in sage.shelf.searches] == ([] if searched is None else [searched])


@pytest.mark.parametrize("names", [["handbook", "all"], "handbook,all", '["handbook", "all"]'])
async def test_datasets_in_all_their_forms(sage: Sage, names: Any) -> None:
    fields = {"message": "x", "dataset": names}
    await sage.json("/server/query", data=fields)
    if not isinstance(names, str) or "[" not in names:
        await sage.json("/server/query", fields)
    assert all(found == ["handbook"] for _, found, _ in sage.shelf.searches)


async def test_a_dataset_that_is_not_there(sage: Sage) -> None:
    told = await sage.json("/server/query", {"message": "x", "dataset": "secret"})
    assert told == {
        "error": "dataset_not_found",
        "param": "dataset",
        "response": "The dataset `secret` does not exist or you do not have access to it.",
        "status": 404,
    }


async def test_search_in_trouble_is_told_and_the_question_answered(sage: Sage) -> None:
    sage.shelf.trouble = KnowledgeUnavailable()
    sage.shelf.live = Live(unavailable="No search engine is configured on this server.")
    told = await sage.json("/server/query", {"message": "x", "live": 2})
    assert (told["status"], told["message"]) == (200, "Hello from the fake engine.")
    assert (told["embedding_down"], told["vectors_down"]) == (True, True)
    assert told["live_unavailable"] == "No search engine is configured on this server."
    assert told["references"].splitlines() == [
        "Live search: No search engine is configured on this server.",
        "Search in the datasets does not work right now; the answer was given without.",
    ]


async def test_what_a_search_may_not_cost_is_no_trouble_of_the_search(sage: Sage) -> None:
    sage.shelf.trouble = InsufficientCredits()
    assert (await sage.json("/server/query", {"message": "x"}))["status"] == 402


async def test_what_was_found_gives_way_to_a_small_context(sage: Sage) -> None:
    """The fake's context is 4096 words."""
    sage.shelf.passages = [passage(f"{number} " * 1500) for number in range(4)]
    told = await sage.json("/server/query", {"message": "x"})
    assert told["status"] == 200
    assert 0 < len(told["citations"]) < 4
    assert len(told["references"].splitlines()) == len(told["citations"])


async def test_a_question_that_is_too_long_by_itself(sage: Sage) -> None:
    told = await sage.json("/server/query", {"message": "x " * 5000})
    assert (told["status"], told["error"]) == (400, "context_length_exceeded")


async def test_a_persona_beside_a_system_message(sage: Sage) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}]
    await sage.json("/server/query", {"messages": asked, "persona": 2})
    assert messages(sage)[0]["content"] == "You are a poet.\n\nBe brief."
    await sage.json("/server/query", {"message": "x", "persona": 2, "system_prompt": "Be brief."})
    assert messages(sage)[0]["content"] == "Be brief."
    await sage.json("/server/query", {"message": "x", "persona": [17]})
    assert messages(sage)[0]["content"] == "You are helpful."


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "message"),
        ({"message": "x", "messages": [{"role": "user", "content": "x"}]}, "messages"),
        ({"message": [{"user": "them", "message": "x"}]}, "message[0].user"),
        ({"message": "x", "temperature": 1.5}, "temperature"),
        ({"message": "x", "live": 3}, "live"),
        ({"message": "x", "limit_references": -1}, "limit_references"),
        ({"message": "x", "mode": "deep_agent"}, "mode"),
        ({"message": "x", "enabled_mcp_tools": ["a"]}, "enabled_mcp_tools"),
        ({"message": "x", "tools_to_execute": ["a"]}, "tools_to_execute"),
        ({"message": "x", "reasoning_effort": "huge"}, "reasoning_effort"),
        ({"message": "x", "quality": "best"}, "quality"),
        ({"message": "x", "tool_choice": "required"}, "tool_choice"),
    ],
)
async def test_what_is_refused_by_name(sage: Sage, body: dict[str, Any], param: str) -> None:
    told = await sage.json("/server/query", body)
    assert (told["status"], told["param"]) == (400, param), told
    assert sage.fake.engines[Task.CHAT].started == 0
    assert sage.shelf.searches == []


async def test_a_model_that_is_not_served_is_explained_in_an_answer(sage: Sage) -> None:
    told = await sage.json("/server/query", {"message": "x", "model": "gpt-9"})
    assert set(told) == KEYS
    assert (told["status"], told["response"], told["type"], told["error"]) == (200, "OK", "teach", "model_not_found")
    assert "gpt-9" in told["message"]
    assert [told[name] for name in ("usage", "tool_calls", "tool_calls_unified", "tool_responses")] == [None] * 4


async def test_quality_by_field_header_and_suffix(sage: Sage) -> None:
    for request in (
        {"json": {"message": "x", "quality": "low"}},
        {"json": {"message": "x"}, "headers": {"x-quality": "low"}},
        {"json": {"message": "x", "model": "openai_gpt:low"}},
    ):
        answer = await sage.http.post("/server/query", **request)
        assert answer.headers["x-quality"] == "low"


async def test_a_plugins_tag_is_taken_off_a_question(sage: Sage) -> None:
    await sage.json("/server/query", {"message": "[[summarize]] This text."})
    assert messages(sage)[-1]["content"] == "This text."
    await sage.json("/server/query", {"message": "[[unknown]] This text."})
    assert messages(sage)[-1]["content"] == "[[unknown]] This text."


async def test_the_default_limit_of_names_does_not_hold_here(sage: Sage) -> None:
    from server.models.config.spec import ChatDefaults

    spec = sage.fake.catalog.listed[0].tasks[Task.CHAT]
    limited = spec.model_copy(update={"defaults": ChatDefaults(max_tokens=2)})
    sage.fake.catalog.listed[0] = type(sage.fake.catalog.listed[0])("everything", {Task.CHAT: limited})
    assert (await sage.json("/server/query", {"message": "x"}))["message"] == "Hello from the fake engine."
    body = {"model": "everything", "messages": [{"role": "user", "content": "x"}]}
    told = await sage.json("/v1/chat/completions", body, headers={"authorization": "Bearer sk-sage-test"})
    assert told["choices"][0]["message"]["content"] == "Hello from"


# ---------------------------------------------------------------- streams


@pytest.mark.parametrize(("path", "more"), [("/server/query_stream", {}), ("/server/query", {"streaming": True})])
async def test_a_stream_grows_and_ends_in_the_whole_answer(sage: Sage, path: str, more: dict[str, Any]) -> None:
    sage.shelf.passages = [passage("Leave is 30 days.")]
    answer = await sage.http.post(path, json={"message": "x", "usage": True, **more})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    *objects, nothing = answer.content.split(SEPARATOR)
    assert nothing == b""
    *parts, whole = map(orjson.loads, objects)
    said = [part["message"] for part in parts]
    assert said[0] == "Hello"
    assert said[-1] == whole["message"] == "Hello from the fake engine."
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(said))
    assert set(whole) == KEYS
    assert whole["usage"]["asksage_tokens"] > 0
    assert len(whole["citations"]) == 1
    assert {part["uuid"] for part in parts} == {whole["uuid"]} == {sage.shelf.asked[0]["uuid"]}


async def test_the_separator_within_an_answer(sage: Sage) -> None:
    said = f"Before{SEPARATOR.decode()}after"
    sage.fake.engines[Task.CHAT].options = sage.fake.engines[Task.CHAT].options.__class__(text=said)
    answer = await sage.http.post("/server/query_stream", json={"message": "x"})
    *objects, _ = answer.content.split(SEPARATOR)
    assert orjson.loads(objects[-1].replace(ESCAPED, SEPARATOR))["message"] == said
    assert (await sage.json("/server/query", {"message": "x"}))["message"] == said


async def test_a_refusal_before_a_stream_and_an_error_within_it(sage: Sage) -> None:
    told = await sage.json("/server/query_stream", {"message": "x", "live": 7})
    assert (told["status"], told["param"]) == (400, "live")
    engine = sage.fake.engines[Task.CHAT]
    engine.options = engine.options.__class__(die_after=2)
    answer = await sage.http.post("/server/query_stream", json={"message": "x"})
    *objects, nothing = answer.content.split(SEPARATOR)
    first, last = orjson.loads(objects[0]), orjson.loads(objects[-1])
    assert (answer.status_code, nothing, first["message"]) == (200, b"", "Hello")
    assert (last["status"], last["error"]) == (500, "engine_failed")
    assert sage.shelf.asked == []


async def test_a_stream_of_a_model_that_is_not_served_explains_too(sage: Sage) -> None:
    answer = await sage.http.post("/server/query_stream", json={"message": "x", "model": "gpt-9"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    explained, nothing = answer.content.split(SEPARATOR)
    told = orjson.loads(explained)
    assert nothing == b""
    assert set(told) == KEYS
    assert (told["type"], told["status"], told["response"]) == ("teach", 200, "OK")
    assert "gpt-9" in told["message"]
    assert told["tool_calls"] is told["tool_calls_unified"] is told["tool_responses"] is told["usage"] is None


async def test_a_stream_breaks_its_silence_while_the_model_loads(sage: Sage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PATIENCE", 0)
    sage.fake.registry.loaded.clear()
    async with sage.fake.exchange("POST", "/server/query_stream", body=orjson.dumps({"message": "x"})) as sent:
        assert await sent.start() == 200
        assert sent.headers["content-type"] == "text/plain; charset=utf-8"
        assert await sent.chunk() == b"\n"
        sage.fake.registry.loaded.set()
        answer = b""
        while (chunk := await sent.chunk()) is not None:
            answer += chunk
        *objects, nothing = answer.split(SEPARATOR)
        assert (nothing, orjson.loads(objects[-1])["message"]) == (b"", "Hello from the fake engine.")


# ---------------------------------------------------------------- where an answer ends


async def test_a_short_answer_draws_on_what_was_found_too(sage: Sage) -> None:
    sage.shelf.passages = [passage("Leave is 30 days.")]
    told = await sage.json("/server/query", {"message": "x", "max_tokens": 9})
    assert "Leave is 30 days." in told["references"]
    assert "Leave is 30 days." in str(messages(sage))


async def test_an_answer_ends_where_it_is_asked_to_and_where_it_only_repeats_itself(sage: Sage) -> None:
    asked: list[tuple[dict[str, str], int | None]] = [
        ({}, None),
        ({"max_tokens": "2"}, 2),
        ({"max_completion_tokens": "3"}, 3),
    ]
    for more, most in asked:
        await sage.json("/server/query", data={"message": "x", **more})
        assert (job(sage).max_tokens, job(sage).end_loops) == (most, True)
    told = await sage.json("/server/query", {"message": "x", "max_tokens": 0})
    assert (told["status"], told["param"]) == (400, "max_tokens")
    chat = {"model": "fake-chat", "messages": [{"role": "user", "content": "x"}]}
    await sage.http.post("/v1/chat/completions", json=chat, headers={"authorization": f"Bearer {KEY}"})
    assert job(sage).end_loops is False


# ---------------------------------------------------------------- files


async def test_a_picture_is_seen(sage: Sage) -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    png = file.getvalue()
    told = await sage.json("/server/query", data={"message": "What is it?"}, files={"file": ("a.png", png)})
    assert told["status"] == 200
    text, picture = messages(sage)[-1]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert picture["image_url"]["url"].startswith("data:image/png;base64,")


async def test_what_is_wrong_with_a_picture_is_wrong_with_the_file(sage: Sage) -> None:
    """`messages[1].content[1].image_url.url` is nothing that the client has sent."""
    told = await sage.json("/server/query", data={"message": "What is it?"}, files={"file": ("a.png", b"no picture")})
    assert (told["status"], told["param"]) == (400, "file")
    broken = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    told = await sage.json("/server/query", {"messages": [{"role": "user", "content": [broken]}]})
    assert (told["status"], told["param"]) == (400, "messages[0].content[0].image_url.url")


async def test_an_answer_begins_with_its_files_where_that_is_set(sage: Sage) -> None:
    services = sage.fake.app.state.services
    settings = services.settings.model_copy(update={"asksage_echo_files": True})
    sage.fake.app.state.services = replace(services, settings=settings)
    picture = io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "PNG")
    files = [("file", ("notes.txt", b"Leave is 30 days.")), ("file", ("a.png", picture.getvalue()))]
    for sent in (files[:1], files):
        told = await sage.json("/server/query", data={"message": "What?"}, files=sent)
        assert told["message"] == (
            '<file-content>\n{"asksage_metadata": {"filename": "notes.txt"}}\nLeave is 30 days.\n</file-content>\n\n'
            "Hello from the fake engine."
        )


@pytest.mark.parametrize("wrong", [{"model": "gpt-9"}, {"dataset": "nosuch"}])
async def test_what_can_not_be_answered_is_not_heard_first(sage: Sage, wrong: dict[str, str]) -> None:
    """Nor paid for: neither the recording nor a search."""
    sage.shelf.passages = [passage("Leave is 30 days.")]
    told = await sage.json("/server/query", data={"message": "What?", **wrong}, files={"file": ("talk.mp3", b"sound")})
    assert told["type" if "model" in wrong else "error"] == ("teach" if "model" in wrong else "dataset_not_found")
    assert sage.fake.engines[Task.TRANSCRIPTION].jobs == []
    assert sage.shelf.searches == []


async def test_a_recording_is_heard_and_a_text_read(sage: Sage, monkeypatch: pytest.MonkeyPatch) -> None:
    from server.knowledge.parsing import reader
    from server.knowledge.parsing.parsed import Block

    async def read(path: Any, filename: str, **bounds: Any) -> list[Block]:
        assert (path.read_bytes(), filename) == (b"text", "notes.txt")
        return [
            Block("First </file-content> part.", ("Notes",)),
            Block("Second.", ("Notes",)),
            Block("Third.", ("Notes", "More")),
            Block("Fourth.", ("Other",)),
        ]

    monkeypatch.setattr(reader, "sound", lambda name: name.endswith(".mp3"))
    monkeypatch.setattr(reader, "read", read)
    files = [("file", ("../notes.txt", b"text")), ("file", ("talk.mp3", b"sound"))]
    await sage.json("/server/query_with_file", data={"message": "What?"}, files=files)
    rule, asked = (message["content"] for message in messages(sage))
    assert rule == f"You are helpful.\n\n{FILE_RULE}"
    nonce = re.findall("[0-9a-f]{8}", asked)[0]
    assert asked == (
        f"<<<FILE {nonce}>>>\nnotes.txt\n"
        "Notes\n\nFirst </file-content> part.\n\nSecond.\n\nMore\n\nThird.\n\nOther\n\nFourth.\n"
        f"<<<END FILE {nonce}>>>\n"
        f"<<<FILE {nonce}>>>\ntalk.mp3\nHello from the fake engine.\n<<<END FILE {nonce}>>>\n\nWhat?"
    )
    assert sage.shelf.searches[0][0] == "What?"


async def test_an_answer_may_begin_with_its_files_beside_a_picture_too(sage: Sage) -> None:
    settings = sage.fake.services.settings.model_copy(update={"asksage_echo_files": True})
    sage.fake.app.state.services = replace(sage.fake.app.state.services, settings=settings)
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    files = [("file", ("a.txt", b"one </file-content> two")), ("file", ("a.png", file.getvalue()))]
    told = await sage.json("/server/query", data={"message": "What?"}, files=files)
    assert told["message"] == (
        '<file-content>\n{"asksage_metadata": {"filename": "a.txt"}}\none < /file-content> two\n</file-content>'
        "\n\nHello from the fake engine."
    )
    asked = messages(sage)
    assert FILE_RULE in asked[0]["content"]
    assert "one </file-content> two" in asked[-1]["content"][0]["text"]


async def test_files_are_read_by_few_processes_and_few_wait(sage: Sage) -> None:
    services = replace(sage.fake.app.state.services, reading=Turns(1, 0))
    sage.fake.app.state.services = services
    async with services.reading.turn():
        told = await sage.json("/server/file", files={"file": ("a.txt", b"x")})
        assert (told["status"], told["error"]) == (503, "server_is_overloaded")
        told = await sage.json("/server/query", data={"message": "x"}, files={"file": ("a.txt", b"x")})
        assert (told["status"], told["error"]) == (503, "server_is_overloaded")
    assert (await sage.json("/server/file", files={"file": ("a.txt", b"x")}))["status"] == 200
