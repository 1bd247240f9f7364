"""The key stays in its tab: not in what is kept, not in tabs that links open, not on a page that comes back."""

import json

import httpx
from playwright.sync_api import Route, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener
from tests.e2e.pages.test_chat_tab import ask, finished
from tests.e2e.pages.test_shell import made


def linked(route: Route) -> None:
    url = route.request.url.removesuffix("/v1/chat/completions")
    delta = {"content": f"[Look here]({url}/console#settings)"}
    chunk = {"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}
    route.fulfill(content_type="text/event-stream", body=f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n")


def test_a_link_of_an_answer_opens_a_tab_without_the_key(opened: Opener) -> None:
    """Also one that leads to this very server: the new tab's storage is its own."""
    watched = opened("playground#chat", key="")
    page = watched.page
    page.get_by_role("button", name="Enter key").last.click()
    page.get_by_label("Key", exact=True).fill(opened.live.key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.route("**/v1/chat/completions", linked)
    ask(page, "Where?")
    with page.context.expect_page() as found:
        finished(page).get_by_role("link", name="Look here").click()
    other = found.value
    expect(other.get_by_text("Enter a key to open the console")).to_be_visible()
    assert other.evaluate("() => [opener, sessionStorage.length, document.referrer]") == [None, 0, ""]
    assert page.evaluate("() => sessionStorage.getItem('sagehold.key')") == opened.live.key
    watched.clean()


def test_a_page_that_comes_back_shows_nothing_of_a_forgotten_key(
    opened: Opener, server: LiveServer, operator: str
) -> None:
    """Browsers put pages away whole when one goes on, and bring them back as they were."""
    headers = {"Authorization": f"Bearer {operator}"}
    account = {"name": "Seen by the first key"}
    assert httpx.post(f"{server.url}/admin/v1/accounts", json=account, headers=headers, timeout=30).status_code == 200
    watched = opened("console#accounts", key=operator)
    page = watched.page
    expect(page.get_by_text("Seen by the first key")).to_be_visible()
    back = "() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    page.evaluate(f"() => {{ window.before = true; ({back})(); }}")
    expect(page.get_by_text("Seen by the first key")).to_be_visible()
    assert page.evaluate("() => window.before"), "the same key: nothing is asked anew"
    page.evaluate(f"() => {{ sessionStorage.removeItem('sagehold.key'); ({back})(); }}")
    expect(page.get_by_text("Enter a key to open the console")).to_be_visible()
    expect(page.get_by_text("Seen by the first key")).to_have_count(0)
    other = made(server, operator, name="another")["key"]
    page.evaluate(f"(key) => {{ sessionStorage.setItem('sagehold.key', key); ({back})(); }}", other)
    expect(page.locator("header").get_by_role("button", name="another")).to_be_visible()
    watched.clean()
