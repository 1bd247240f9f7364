"""SearXNG as its API is documented (docs.searxng.org/dev/search_api), and as it is when it is in trouble."""

import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from server.knowledge.live.pages import Pages
from server.knowledge.live.provider import SearchTrouble
from server.knowledge.live.search import LiveSearch
from server.knowledge.live.searxng import LIMIT, Searxng
from server.knowledge.records import Live, WebResult

pytestmark = pytest.mark.anyio

ANSWER: dict[str, Any] = {
    "query": "lunch",
    "results": [
        {
            "url": "https://example.org/lunch",
            "title": "Lunch\n hour",
            "content": "  All about\tlunch. ",
            "engine": "library",
            "engines": ["library"],
            "parsed_url": ["https", "example.org", "/lunch", "", "", ""],
            "template": "default.html",
            "positions": [1],
            "score": 1.0,
            "category": "general",
            "publishedDate": None,
        },
        {"url": "https://example.org/other", "title": "Other", "content": "Else.", "score": 4.0},
    ],
    "answers": [],
    "corrections": [],
    "infoboxes": [],
    "suggestions": [],
    "unresponsive_engines": [],
}

Answer = Callable[[httpx.Request], httpx.Response]


def searxng(answer: Answer | httpx.Response, *, url: str = "http://searx.internal:8080/base/") -> Searxng:
    def handle(request: httpx.Request) -> httpx.Response:
        made = answer(request) if callable(answer) else answer
        # As it comes from a network: not read yet.
        return httpx.Response(made.status_code, headers=made.headers, stream=httpx.ByteStream(made.content))

    return Searxng(url, Pages(()), transport=httpx.MockTransport(handle))


async def test_the_question_alone_is_sent_and_results_keep_their_order() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=ANSWER)

    engine = searxng(answer)
    results = await engine.search("What is for lunch? ü&x=1", 10)
    assert results == [
        WebResult("Lunch hour", "https://example.org/lunch", "All about lunch."),
        WebResult("Other", "https://example.org/other", "Else."),
    ]
    [request] = asked
    assert (request.method, request.url.path) == ("GET", "/base/search")
    assert dict(request.url.params) == {"q": "What is for lunch? ü&x=1", "format": "json", "pageno": "1"}
    assert request.content == b""
    assert set(request.headers) == {"host", "accept", "accept-encoding", "user-agent", "connection"}
    assert len(await engine.search("lunch", 1)) == 1
    await engine.aclose()


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("!!g lunch", "g lunch"),
        ("!wp :de <3 lunch", "wp de 3 lunch"),
        ("lunch !!", "lunch"),
        ("a!b c:d 1<2?", "a!b c:d 1<2?"),
    ],
)
async def test_a_question_chooses_no_engine_and_leads_nowhere(question: str, asked: str) -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.url.params["q"])
        return httpx.Response(200, json=ANSWER)

    await searxng(answer).search(question, 10)
    assert sent == [asked]


PAGE = {"content-type": "text/html; charset=utf-8"}
TROUBLES: list[tuple[httpx.Response, str, str]] = [
    (httpx.Response(403, text="Forbidden"), "`search.formats` in the settings.yml", "json must be listed"),
    (httpx.Response(429), "too many searches", "limiter"),
    (httpx.Response(200, text="<html>", headers=PAGE), "a page instead of JSON", "SAGEHOLD_SEARXNG_URL"),
    (httpx.Response(500, text="secret trace"), "status 500", "answered 500"),
    (httpx.Response(302, headers={"location": "http://169.254.169.254/"}), "status 302", "answered 302"),
    (httpx.Response(200, text="{rubbish"), "can't be read", "is not what its API says"),
    (httpx.Response(200, json=[]), "can't be read", "is not what its API says"),
    (httpx.Response(200, json={"results": {"a": 1}}), "can't be read", "is not what its API says"),
    (httpx.Response(200, content=b"[" * 100_000), "can't be read", "is not what its API says"),
    (httpx.Response(200, content=b" " * (LIMIT + 1)), "too large", f"more than {LIMIT} bytes"),
    (httpx.Response(200, json=ANSWER, headers={"content-encoding": "x"}), "can't be read", "compressed"),
    (
        httpx.Response(200, json={**ANSWER, "results": [], "unresponsive_engines": [["bing", "timeout"], 5, []]}),
        "None of the search engines",
        "without an answer: bing",
    ),
]


@pytest.mark.parametrize(("answer", "told", "logged"), TROUBLES)
async def test_each_trouble_is_told_and_logged(
    answer: httpx.Response, told: str, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveSearch([searxng(answer)])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            found = await live.search("a very private question", 1)
    assert found.results == ()
    assert told in str(found.unavailable)
    assert "searx.internal" not in str(found.unavailable)
    assert "secret" not in str(found.unavailable)
    [line] = [record.getMessage() for record in caplog.records if record.name.startswith("server.knowledge")]
    assert logged in line
    assert "private" not in line


@pytest.mark.parametrize("error", [httpx.ConnectError("no"), httpx.ReadError("no"), OSError("no")])
async def test_an_instance_that_is_gone_is_told(error: Exception) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    found = await LiveSearch([searxng(answer)]).search("lunch", 1)
    assert found == Live(unavailable="The search engine could not be reached.")


async def test_an_instance_that_is_silent_is_given_up() -> None:
    import anyio

    async def answer(_: httpx.Request) -> httpx.Response:
        await anyio.sleep_forever()
        raise AssertionError

    engine = Searxng("http://searx", Pages(()), timeout=0.05, transport=httpx.MockTransport(answer))
    with pytest.raises(SearchTrouble, match="in time"):
        await engine.search("lunch", 1)


STRANGE: list[Any] = [
    None, 5, "x", [], {}, {"url": None}, {"url": 7, "title": "x"}, {"url": "javascript:alert(1)", "title": "x"},
    {"url": "file:///etc/passwd", "title": "x"}, {"url": "https://", "title": "x"}, {"url": "http://[", "title": "x"},
    {"url": "https://a.example/" + "x" * 3000, "title": "x"}, {"url": "https://a.example/\n[2] b", "title": "x"},
    {"url": "https://a b.example/", "title": "x"},
]  # fmt: skip


async def test_strange_results_are_left_out_and_the_rest_stays() -> None:
    good = {"url": "https://a.example/#top", "title": ["x"], "content": {"a": 1}}
    again = {"url": "https://a.example", "title": "again"}
    long = {"url": "https://b.example/", "title": "t" * 5000, "content": "c" * 50_000}
    body = json.dumps({"results": [*STRANGE, good, again, long], "unresponsive_engines": {"a": 1}})
    results = await searxng(httpx.Response(200, text=body)).search("x", 10)
    assert [(each.title[:20], each.link) for each in results] == [
        ("https://a.example/#top"[:20], "https://a.example/#top"),
        ("t" * 20, "https://b.example/"),
    ]
    assert [len(results[1].title), len(results[1].snippet)] == [300, 1000]
