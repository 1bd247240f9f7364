"""Batches in the console: made of a file that is dropped, watched, paused, cancelled; what failed, line by line."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener

LIST = re.compile(r"/v1/batches(\?.*)?$")
NOW = int(time.time())
TIMES = ("finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


@pytest.fixture(scope="module")
def keys(fakes: LiveServer) -> dict[str, str]:
    """By what they are: an operator's, and one that may not administer."""
    make = ("keys", "create", "--name", "batches", "--scopes")
    return {scopes: fakes.command(*make, scopes) for scopes in ("inference,usage,admin", "inference", "usage")}


@pytest.fixture
def room(chromium: Browser, fakes: LiveServer) -> Iterator[Opener]:
    opener = Opener(chromium, fakes)
    yield opener
    opener.close()


def batch(number: int, status: str, counts: tuple[int, int, int] = (0, 0, 0), **fields: Any) -> dict[str, Any]:
    return {
        "id": f"batch_{number:032x}",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "model": "quick",
        "errors": None,
        "input_file_id": "file-in",
        "completion_window": "24h",
        "status": status,
        "output_file_id": None,
        "error_file_id": None,
        "created_at": NOW - 600,
        "in_progress_at": NOW - 500,
        "expires_at": NOW + 80_000,
        **{f"{name}_at": None for name in TIMES},
        "request_counts": dict(zip(("total", "completed", "failed"), counts, strict=True)),
        "metadata": None,
        "usage": None,
        "paused": None,
        **fields,
    }


def listed(*rows: dict[str, Any], more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data": list(rows), "has_more": more}


def failure(line: int) -> str:
    error = {"message": f"<b>{line}</b> is too hot.", "type": "invalid_request_error", "param": "temperature"}
    answer = {"status_code": 400, "request_id": "req_1", "body": {"error": error}}
    return json.dumps({"id": f"batch_req_00_{line}", "custom_id": f"c{line}", "response": answer, "error": None}) + "\n"


def answers(page: Page, rows: Callable[[Request], list[dict[str, Any]]]) -> None:
    page.route(LIST, lambda route: route.fulfill(json=listed(*rows(route.request))))


def test_a_file_that_is_dropped_becomes_a_batch_and_is_not_sent_twice(room: Opener, keys: dict[str, str]) -> None:
    watched = room("", key=keys["inference"])
    page = watched.page
    made: list[Any] = []
    sent: list[bytes] = []

    def store(route: Route) -> None:
        sent.append(route.request.post_data_buffer or b"")
        route.fulfill(json={"id": "file-in", "object": "file", "filename": "in.jsonl", "purpose": "batch", "bytes": 9})

    def make(route: Route) -> None:
        if route.request.method == "GET":
            return route.fulfill(json=listed(*([batch(1, "validating")] if len(made) > 1 else [])))
        made.append(route.request.post_data_json)
        if len(made) == 1:
            error = {"message": "The account has 100 batches.", "code": "rate_limit_exceeded"}
            return route.fulfill(status=429, json={"error": error})
        return route.fulfill(json=batch(1, "validating"))

    page.route("**/v1/files", store)
    page.route(LIST, make)
    page.goto(f"{watched.url}/console#batches")
    expect(page.get_by_text("No batches yet")).to_be_visible()
    # The example is of a model that this server has, and is itself a file that can be sent.
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the example").click()
    example = download.value.path().read_bytes()
    assert [json.loads(line)["body"]["model"] in ("quick", "slow") for line in example.splitlines()] == [True] * 3
    assert watched.axe() == []
    page.get_by_role("button", name="New batch").click()
    dialog = page.get_by_role("dialog", name="New batch")
    chooser = dialog.get_by_label("Drop a JSONL file here")
    chooser.set_input_files({"name": "in.jsonl", "mimeType": "", "buffer": b'{"custom_id": "a"\n{}\n'})
    expect(dialog.get_by_text("Line 1 is no JSON")).to_be_visible()
    expect(dialog.get_by_role("button", name="Make batch")).to_be_disabled()
    lines = example.replace(b"/v1/chat/completions", b"/v1/responses")
    dialog.get_by_label("in.jsonl").set_input_files({"name": "in.jsonl", "mimeType": "", "buffer": lines})
    expect(dialog.get_by_label("Its requests go to")).to_have_value("/v1/responses")
    dialog.get_by_label("Time that it has").select_option("3 days")
    assert watched.axe() == []
    dialog.get_by_role("button", name="Make batch").click()
    expect(dialog.get_by_text("The account has 100 batches.")).to_be_visible()
    dialog.get_by_role("button", name="Make batch").click()
    expect(page.get_by_role("heading", name="batch_0")).to_contain_text("being checked")
    assert len(sent) == 1
    assert lines in sent[0]
    assert re.search(rb'name="purpose"\s+batch\s', sent[0])
    assert made == [{"input_file_id": "file-in", "endpoint": "/v1/responses", "completion_window": "3d"}] * 2
    assert watched.refused == [(429, "/v1/batches")]
    watched.clean()


def test_a_batch_is_watched_paused_resumed_and_cancelled(room: Opener, keys: dict[str, str]) -> None:
    watched = room("", key=keys["inference"])
    page = watched.page
    state = {"batch": batch(1, "in_progress", (1_000, 100, 0))}
    acts: list[str] = []

    def act(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        acts.append(name)
        paused = {"reason": "user", "message": "Paused.", "since": NOW}
        changes: dict[str, dict[str, Any]] = {
            "pause": {"paused": paused},
            "resume": {"paused": None},
            "cancel": {"status": "cancelling", "cancelling_at": NOW},
        }
        state["batch"] |= changes[name]
        route.fulfill(json=state["batch"])

    answers(page, lambda _: [state["batch"]])
    page.route("**/v1/batches/*/*", act)
    page.clock.install()
    page.goto(f"{watched.url}/console#batches")
    row = page.get_by_role("row").filter(has_text="batch_0")
    expect(row).to_contain_text("100 of 1,000")
    # Ten seconds later there are a hundred more: ten a second.
    state["batch"]["request_counts"]["completed"] = 200
    page.clock.run_for(10_000)
    expect(row).to_contain_text("200 of 1,000")
    expect(row).to_contain_text(re.compile(r"about \d+ s left|about \d+ min left"))
    expect(row.get_by_role("progressbar")).to_have_attribute("value", "200")
    row.get_by_role("button", name="Pause batch_0").click()
    expect(row).to_contain_text("paused")
    row.get_by_role("link").click()
    expect(page.get_by_text("It was paused by hand.")).to_be_visible()
    expect(page.get_by_text("Resume it, and it goes on where it stopped.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    page.get_by_role("button", name="Cancel batch").click()
    dialog = page.get_by_role("dialog", name="Cancel this batch?")
    expect(dialog).to_contain_text("800 requests will get no answer.")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_have_count(0)
    assert acts == ["pause", "resume"]
    page.get_by_role("button", name="Cancel batch").click()
    dialog.get_by_role("button", name="Cancel batch").click()
    expect(page.get_by_text("being cancelled", exact=True)).to_be_visible()
    assert acts == ["pause", "resume", "cancel"]
    watched.clean()


def test_no_list_is_asked_for_while_nobody_looks(room: Opener, keys: dict[str, str]) -> None:
    watched = room("", key=keys["inference"])
    page = watched.page
    asked: list[str] = []

    def rows(request: Request) -> list[dict[str, Any]]:
        asked.append(request.url)
        return [batch(1, "in_progress", (10, 1, 0))]

    answers(page, rows)
    page.clock.install()
    page.goto(f"{watched.url}/console#batches")
    expect(page.get_by_text("1 of 10")).to_be_visible()
    turn = """(hidden) => {
      Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(turn, True)
    page.clock.run_for(100)
    seen = len(asked)
    page.clock.run_for(60_000)
    assert len(asked) == seen
    with page.expect_request(LIST):
        page.evaluate(turn, False)
        page.clock.run_for(100)
    watched.clean()


def test_what_failed_is_read_line_by_line_and_no_further_than_it_is_shown(room: Opener, keys: dict[str, str]) -> None:
    watched = room("", key=keys["inference"])
    page = watched.page
    done = batch(1, "completed", (2_000, 499, 1_501), output_file_id="file-out", error_file_id="file-err")
    answers(page, lambda _: [done])
    errors = "".join(failure(line) for line in range(1, 1_502))
    page.route(
        "**/v1/files/file-err/content", lambda route: route.fulfill(body=errors, content_type="application/jsonl")
    )
    page.route("**/v1/files/file-out/content", lambda route: route.fulfill(body='{"x": 1}\n'))
    page.goto(f"{watched.url}/console#batches/{done['id']}")
    expect(page.get_by_text("2,000 of 2,000, 1,501 failed")).to_be_visible()
    expect(page.get_by_text("The first 1,000 are shown")).to_be_visible()
    table = page.get_by_role("region", name="Failed requests").get_by_role("table")
    cells = table.get_by_role("row").nth(7).get_by_role("cell")
    expect(cells).to_have_text(["7", "c7", "400", "<b>7</b> is too hot.", "invalid_request_error", "temperature"])
    assert watched.axe() == []
    for label, name, content in (
        ("Download output", f"{done['id']}-output.jsonl", b'{"x": 1}\n'),
        ("Download errors", f"{done['id']}-errors.jsonl", errors.encode()),
    ):
        with page.expect_download() as download:
            page.get_by_role("button", name=label).click()
        assert (download.value.suggested_filename, download.value.path().read_bytes()) == (name, content)
    watched.clean()


def test_each_end_and_each_pause_says_what_to_do(room: Opener, keys: dict[str, str]) -> None:
    watched = room("", key=keys["inference,usage,admin"])
    page = watched.page
    account = {"id": "acct_1", "name": "<i>team</i>"}
    pause = {"reason": "insufficient_credits", "message": "Nothing is <b>left</b>.", "since": NOW}
    wrong = [{"code": "invalid_json_line", "line": 3, "message": "Line 3 is no JSON.", "param": None}]
    rows = [
        batch(1, "in_progress", (10, 1, 0), paused=pause),
        batch(2, "failed", errors={"object": "list", "data": wrong}, failed_at=NOW),
        batch(3, "expired", (10, 4, 6), expired_at=NOW, error_file_id="file-err", output_file_id="file-out"),
        batch(4, "cancelled", (10, 4, 0), cancelled_at=NOW, output_file_id="file-out"),
        batch(5, "finalizing", (10, 10, 0)),
    ]
    answers(page, lambda _: [row | {"account": account} for row in rows])
    page.goto(f"{watched.url}/console#batches")
    expect(page.get_by_role("row").filter(has_text="<i>team</i>")).to_have_count(5)
    page.get_by_label("State").select_option("paused")
    expect(page.get_by_text("1 of the 5 newest batches")).to_be_visible()
    page.get_by_role("row").filter(has_text="paused").get_by_role("link", name="batch_0").click()
    expect(page.get_by_text("Nothing is <b>left</b>.")).to_be_visible()
    expect(page.get_by_role("link", name="Give credits to <i>team</i>")).to_have_attribute("href", "#accounts/acct_1")
    for number, words in ((2, "Line 3 is no JSON."), (3, "Its time ran out."), (4, "It was cancelled.")):
        page.goto(f"{watched.url}/console#batches/batch_{number:032x}")
        expect(page.get_by_text(words)).to_be_visible()
        # The files are another account's.
        expect(page.get_by_role("button", name="Download output")).to_have_count(0)
    page.goto(f"{watched.url}/console#batches/batch_none")
    expect(page.get_by_text("There is no such batch")).to_be_visible()
    assert watched.axe() == []
    watched.clean()


def test_a_batch_from_its_file_to_its_answers(room: Opener, fakes: LiveServer, keys: dict[str, str]) -> None:
    """Over the real server; then an operator pauses, resumes and cancels another one."""
    watched = room("console#batches", key=keys["inference"])
    page = watched.page

    def make(name: str, lines: list[dict[str, Any]]) -> None:
        page.get_by_role("button", name="New batch").click()
        dialog = page.get_by_role("dialog", name="New batch")
        text = "".join(
            json.dumps({"custom_id": f"c{at}", "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n"
            for at, body in enumerate(lines)
        )
        chosen = {"name": name, "mimeType": "", "buffer": text.encode()}
        dialog.get_by_label("Drop a JSONL file here").set_input_files(chosen)  # type: ignore[arg-type]
        dialog.get_by_role("button", name="Make batch").click()
        expect(dialog).to_have_count(0)

    asked = {"model": "quick", "messages": [{"role": "user", "content": "Hi"}]}
    make("quick.jsonl", [asked, asked | {"temperature": 9}, asked])
    expect(page.get_by_text("3 of 3, 1 failed")).to_be_visible()
    expect(page.get_by_text("done", exact=True)).to_be_visible()
    row = page.get_by_role("region", name="Failed requests").get_by_role("row").nth(1)
    expect(row.get_by_role("cell").nth(0)).to_have_text("2")
    expect(row).to_contain_text("temperature")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download output").click()
    answered = [json.loads(line) for line in download.value.path().read_bytes().splitlines()]
    assert sorted(one["custom_id"] for one in answered) == ["c0", "c2"]
    said = {one["response"]["body"]["choices"][0]["message"]["content"] for one in answered}
    assert said == {"It is done."}
    page.get_by_role("link", name="All batches").click()
    make("wrong.jsonl", [asked | {"model": "unheard-of"}])
    expect(page.get_by_text("Its file can't be used.")).to_be_visible()
    expect(page.get_by_role("region", name="What is wrong").get_by_role("row").nth(1)).to_contain_text("unheard-of")
    page.get_by_role("link", name="All batches").click()
    make("slow.jsonl", [asked | {"model": "slow"}] * 40)
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    watched.clean()

    operator = room(f"console{page.evaluate('() => location.hash')}", key=keys["inference,usage,admin"])
    page = operator.page
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("It was paused by hand.")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    page.get_by_role("button", name="Cancel batch").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel batch").click()
    expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
    expect(page.get_by_text("It was cancelled.")).to_be_visible()
    operator.clean()


def test_a_key_sees_the_rooms_that_its_scopes_open(room: Opener, keys: dict[str, str]) -> None:
    sections = {
        "inference": ["Batches", "Files", "My usage"],
        "usage": ["My usage"],
    }
    for scopes, names in sections.items():
        page = room("console", key=keys[scopes]).page
        expect(page.get_by_role("navigation", name="Sections").get_by_role("link")).to_have_text(names)
        expect(page.get_by_role("heading", name="My usage")).to_be_visible()
