"""The console's section Live: requests that are made show, a server that was started anew shows, and nothing else."""

import re
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener


@pytest.fixture
def pages(chromium: Browser, fakes: LiveServer) -> Iterator[Opener]:
    opener = Opener(chromium, fakes)
    yield opener
    opener.close()


@pytest.fixture(scope="module")
def admin(fakes: LiveServer) -> str:
    return fakes.command("keys", "create", "--name", "watcher", "--scopes", "inference,admin")


def ask(fakes: LiveServer, key: str, model: str) -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{fakes.url}/v1/chat/completions", json=body, headers=headers, timeout=30).status_code


def test_requests_that_are_made_are_shown(pages: Opener, fakes: LiveServer, admin: str) -> None:
    watched = pages("console#live", key=admin)
    page = watched.page
    expect(page.get_by_role("img", name="Requests a second")).to_be_visible()
    for model, status in (("quick", 200), ("quick", 200), ("none", 404), ("broken", 503)):
        assert ask(fakes, admin, model) == status
    row = page.get_by_role("region", name="Requests by route").get_by_role("row").filter(has_text="/v1/chat")
    cells = row.get_by_role("cell")
    expect(cells.nth(2)).to_have_text("2")
    expect(cells.nth(3)).to_have_text("1")
    expect(cells.nth(4)).to_have_text("1")
    expect(cells.nth(5)).to_have_text(re.compile(r"\d+(\.\d)? m?s"))
    models = page.get_by_role("region", name="Models at work").get_by_role("row")
    expect(models.filter(has_text="broken")).to_contain_text("failed")
    expect(models.filter(has_text="quick").get_by_role("cell").nth(5)).to_have_text(re.compile("ms"))
    # The page's own looks are left out, unless they are asked for.
    routes = page.get_by_role("region", name="Requests by route")
    expect(routes).not_to_contain_text("/metrics")
    page.get_by_label("Count what pages and probes ask, too").check()
    expect(routes).to_contain_text("/metrics")
    page.get_by_text("The charts as figures").click()
    figures = page.get_by_role("region", name="The charts as figures, the newest first")
    expect(figures.get_by_role("row").nth(1)).to_contain_text(re.compile(r"\d\d:\d\d:\d\d"))
    assert watched.axe() == []
    watched.shot("console-live-measured")
    watched.clean()


def metrics(started: int, chats: int) -> str:
    return (
        f"process_start_time_seconds {started}\n"
        f'sagehold_requests_total{{route="/v1/chat/completions",status="200",model="m"}} {chats}\n'
        'sagehold_model_state{model="<img src=x onerror=alert(1)>",state="ready"} 1\n'
    )


def test_a_server_that_is_started_anew_counts_from_zero_and_an_outage_is_said(pages: Opener, admin: str) -> None:
    said: list[str | None] = [metrics(1, 1000), metrics(1, 1003), None, metrics(2, 4)]
    served = 0

    def answer(route: Route) -> None:
        nonlocal served
        text = said[min(served, len(said) - 1)]
        served += 1
        if text is None:
            route.abort()
        else:
            route.fulfill(body=text, content_type="text/plain")

    watched = pages("", key=admin)
    page = watched.page
    page.route("**/metrics", answer)
    page.goto(f"{watched.url}/console#live")
    cells = page.get_by_role("region", name="Requests by route").get_by_role("row").nth(1).get_by_role("cell")
    expect(cells.nth(2)).to_have_text("3")
    expect(page.get_by_text("The server can't be reached.")).to_be_visible()
    expect(cells.nth(2)).to_have_text("3")
    expect(cells.nth(2)).to_have_text("4")
    expect(page.get_by_text("The server can't be reached.")).to_have_count(0)
    expect(page.get_by_role("region", name="Models at work")).to_contain_text("<img src=x onerror=alert(1)>")
    watched.clean()


def test_a_pause_stops_the_measuring(pages: Opener, admin: str) -> None:
    watched = pages("", key=admin)
    page = watched.page
    asked: list[float] = []
    page.on("request", lambda request: asked.append(time.monotonic()) if request.url.endswith("/metrics") else None)
    page.goto(f"{watched.url}/console#live")
    expect(page.get_by_role("img", name="Requests a second")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    before = len(asked)
    page.wait_for_timeout(2_500)
    assert len(asked) == before
    with page.expect_request("**/metrics"):
        page.get_by_role("button", name="Go on").click()
    watched.clean()
