"""The console's lists of datasets and their documents, where answers fail, cross, or come to a key that was refused."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Route, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener

EMPTY = dict.fromkeys(("queued", "reading", "embedding", "ready", "failed", "cancelled"), 0)


@pytest.fixture(scope="module")
def key(fakes: LiveServer) -> str:
    return fakes.command("keys", "create", "--name", "lists", "--scopes", "inference,usage,admin")


@pytest.fixture
def lists(chromium: Browser, fakes: LiveServer) -> Iterator[Opener]:
    opener = Opener(chromium, fakes)
    yield opener
    opener.close()


def dataset(**states: int) -> dict[str, Any]:
    return {
        "id": "ds_1",
        "object": "dataset",
        "name": "papers",
        "full_name": "user_custom_1_papers_content",
        "permission": "owner",
        "classification": "Unclassified",
        "model": None,
        "documents": states.get("ready", 0),
        "passages": 0,
        "created_at": "2026-11-26T12:00:00Z",
        "owner": {"id": "acct_1", "name": "team"},
        "states": EMPTY | states,
        "shared_with": 0,
    }


def document(number: int, state: str) -> dict[str, Any]:
    return {
        "id": f"doc_{number}",
        "object": "document",
        "dataset_id": "ds_1",
        "filename": f"{state}.md",
        "context": "",
        "state": state,
        "done": 0,
        "total": 0,
        "error": None,
        "size": 10,
        "passages": 0,
        "tokens": 0,
        "created_at": "2026-11-26T12:00:00Z",
        "updated_at": "2026-11-26T12:00:00Z",
    }


def listed(*rows: dict[str, Any], has_more: bool = False) -> dict[str, Any]:
    return {"object": "list", "data": list(rows), "has_more": has_more}


def test_what_is_being_read_is_looked_at_again_after_a_failure(lists: Opener, key: str) -> None:
    watched = lists("", key=key)
    page = watched.page
    asked: list[int] = []

    def answer(route: Route) -> None:
        asked.append(1)
        if len(asked) == 2:
            route.fulfill(status=503, json={"error": {"message": "The accounts can't be reached.", "code": "x"}})
        else:
            route.fulfill(json=listed(dataset(**({"reading": 1} if len(asked) == 1 else {"ready": 1}))))

    page.route("**/admin/v1/datasets", answer)
    page.goto(f"{watched.url}/console#datasets")
    expect(page.get_by_text("1 being read")).to_be_visible()
    expect(page.get_by_text("The accounts can't be reached.")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="papers")).to_contain_text("ready")
    expect(page.get_by_text("The accounts can't be reached.")).to_have_count(0)
    watched.clean()


def test_of_two_lists_the_one_that_was_chosen_last_is_shown(lists: Opener, key: str) -> None:
    watched = lists("", key=key)
    page = watched.page
    held: list[Route] = []

    def answer(route: Route) -> None:
        if "state=failed" in route.request.url:
            held.append(route)
        else:
            route.fulfill(json=listed(document(1, "ready"), has_more=True))

    page.route("**/admin/v1/datasets", lambda route: route.fulfill(json=listed(dataset(ready=1, failed=1))))
    page.route("**/admin/v1/datasets/ds_1/documents*", answer)
    page.goto(f"{watched.url}/console#datasets")
    page.get_by_role("button", name="papers").click()
    documents = page.get_by_role("region", name="Documents").get_by_role("table")
    expect(documents).to_contain_text("ready.md")
    which = page.get_by_label("Which documents")
    with page.expect_request(lambda request: "state=failed" in request.url):
        which.select_option("failed")
    with page.expect_response(lambda response: "state=ready" in response.url):
        which.select_option("ready")
    with suppress(Error):  # the page may have taken it back
        held[0].fulfill(json=listed(document(2, "failed")))
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(documents).to_contain_text("ready.md")
    expect(documents).not_to_contain_text("failed.md")
    # As many as one answer may have; what is older is no secret.
    for _ in range(9):
        page.get_by_role("button", name="Show more").click()
    expect(page.get_by_text("The newest 1,000 are shown.")).to_be_visible()
    assert watched.axe() == []
    watched.clean()


@pytest.mark.parametrize(("section", "path"), [("models", "/admin/v1/models"), ("live", "/metrics")])
def test_nothing_is_asked_by_itself_with_a_key_that_was_refused(
    lists: Opener, key: str, section: str, path: str
) -> None:
    watched = lists("", key=key)
    page = watched.page
    page.clock.install()
    page.goto(f"{watched.url}/console#{section}")
    expect(page.get_by_role("heading", name=section.capitalize())).to_be_visible()
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=401, json={"error": {"message": "Incorrect API key provided.", "code": "invalid_api_key"}})

    page.route(f"**{path}", refuse)
    while not asked:
        page.clock.run_for(1_000)
    expect(page.get_by_role("dialog", name="Your API key")).to_be_visible()
    seen = len(asked)
    page.clock.run_for(20_000)
    page.evaluate("() => fetch('health')")
    assert len(asked) == seen
    page.unroute(f"**{path}")
    page.get_by_role("dialog").get_by_label("Key").fill(key)
    with page.expect_request(f"**{path}"):
        page.get_by_role("button", name="Use this key").click()
        page.clock.run_for(5_000)
    watched.clean()


def test_a_key_that_cant_be_looked_up_is_told_from_one_that_is_missing(lists: Opener, key: str) -> None:
    watched = lists("", key=key)
    page = watched.page
    refusal = {"message": "The server's accounts can't be reached right now.", "code": "database_unavailable"}
    page.route("**/v1/key", lambda route: route.fulfill(status=503, json={"error": refusal}))
    page.goto(f"{watched.url}/console")
    expect(page.get_by_text("The server's accounts can't be reached right now.")).to_be_visible()
    expect(page.get_by_text("Enter a key to open the console")).to_have_count(0)
    page.unroute("**/v1/key")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    watched.clean()
