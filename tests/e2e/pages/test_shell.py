"""What all pages share: the key and its dialog, the theme, the connection, and the way by keyboard alone."""

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener

FIELD = {"role": "textbox", "name": "Key"}


def enter(page: Page, key: str) -> None:
    """Into the dialog that is open, as a person does who pastes it."""
    dialog = page.get_by_role("dialog", name="Your API key")
    dialog.get_by_role("textbox").fill(f" {key}\n".strip("\n"))
    page.keyboard.press("Enter")


def made(live: LiveServer, operator: str, **terms: Any) -> dict[str, Any]:
    """A new key, by the API."""
    headers = {"Authorization": f"Bearer {operator}"}
    terms = {"account": "default", **terms}
    answer = httpx.post(f"{live.url}/admin/v1/keys", json=terms, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def revoke(live: LiveServer, operator: str, key: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {operator}"}
    assert httpx.delete(f"{live.url}/admin/v1/keys/{key['id']}", headers=headers, timeout=30).status_code == 200


def kept(page: Page) -> str:
    """All that the browser keeps of the page, but for the tab's own storage."""
    found: str = page.evaluate(
        """async () => JSON.stringify([{...localStorage}, document.cookie, location.href,
        await indexedDB.databases()])"""
    )
    return found


def test_a_newcomer_enters_the_key_by_keyboard_and_it_stays_in_the_tab(opened: Opener, server: LiveServer) -> None:
    watched = opened("", key="")
    page = watched.page
    expect(page.get_by_role("button", name="Enter your key")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.get_by_role("button", name="Enter your key").press("Enter")
    dialog = page.get_by_role("dialog", name="Your API key")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    assert watched.axe() == []
    enter(page, "kein Schlüssel")
    expect(dialog.get_by_role("alert")).to_contain_text("letters, digits and dashes")
    enter(page, "sk-sage-wrong")
    expect(dialog.get_by_role("alert")).to_contain_text("Incorrect API key provided.")
    expect(dialog.get_by_role("alert")).to_contain_text("req_")
    assert watched.axe() == []
    enter(page, server.key)
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("region", name="Models")).to_contain_text("gpt-4o-mini")
    page.reload()
    expect(page.get_by_role("region", name="Models")).to_be_visible()
    assert server.key not in kept(page)
    second = page.context.new_page()
    second.goto(f"{server.url}/console")
    expect(second.get_by_text("Enter a key to open the console")).to_be_visible()
    assert server.key not in page.content()
    watched.clean()


def test_escape_and_the_cross_close_the_dialog_as_often_as_one_likes(opened: Opener) -> None:
    """A browser that is asked twice in a row closes a dialog without a word to the page."""
    watched = opened("playground", key="")
    page = watched.page
    button = page.locator("header").get_by_role("button", name="Enter key")
    dialog = page.get_by_role("dialog")
    for _ in range(3):
        button.click()
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(button).to_be_focused()
    button.click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    watched.clean()


def test_a_key_is_forgotten(opened: Opener, server: LiveServer) -> None:
    watched = opened("")
    page = watched.page
    page.locator("header").get_by_role("button", name="first key").or_(
        page.locator("header").get_by_role("button", name="Your key")
    ).or_(page.locator("header .bar-end button").first).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It may: inference")
    dialog.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_role("button", name="Enter your key")).to_be_visible()
    assert page.evaluate("() => Object.keys(sessionStorage)") == ["begun"]
    watched.clean()


def test_a_key_that_is_revoked_in_the_middle_is_asked_for_once_and_nothing_is_lost(
    opened: Opener, server: LiveServer, operator: str
) -> None:
    key = made(server, operator, name="short-lived", scopes=["admin", "inference"])
    watched = opened("console#models", key=key["key"])
    page = watched.page
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    page.evaluate(
        """() => {
          const field = document.createElement("textarea");
          field.ariaLabel = "Typed";
          document.querySelector(".section").append(field);
        }"""
    )
    typed = page.get_by_label("Typed")
    typed.fill("half a thought")
    revoke(server, operator, key)
    # The page's own look at the models comes every ten seconds; coming back to the tab brings it forward.
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    dialog = page.get_by_role("dialog", name="Your API key")
    expect(dialog).to_contain_text("Incorrect API key provided.")
    expect(dialog).to_contain_text("nothing on this page is lost")
    page.keyboard.press("Escape")
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("button", name="Key refused")).to_be_visible()
    expect(dialog).to_have_count(0)
    expect(typed).to_have_value("half a thought")
    assert watched.axe() == []
    page.get_by_role("button", name="Key refused").click()
    enter(page, operator)
    expect(page.locator("header").get_by_role("button", name="operator")).to_be_visible()
    expect(typed).to_have_value("half a thought")
    watched.clean()


def test_a_server_that_is_away_is_said_and_found_again(opened: Opener) -> None:
    watched = opened("")
    page = watched.page
    expect(page.get_by_role("region", name="Models")).to_be_visible()

    def away(route: Route) -> None:
        route.abort("connectionrefused")

    page.route("**/v1/**", away)
    page.route("**/health", away)
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer.")
    expect(page.get_by_role("region", name="Models")).to_be_visible()
    assert watched.axe() == []
    page.unroute_all()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_page_that_is_opened_while_the_server_is_away_goes_on_by_itself(opened: Opener) -> None:
    watched = opened("console")
    page = watched.page
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    page.route("**/health", lambda route: route.abort("connectionrefused"))
    page.reload()
    expect(page.get_by_text("The server can't be reached.")).to_be_visible()
    page.unroute_all()
    expect(page.get_by_role("heading", level=1, name="My usage")).to_be_visible()


def test_the_theme_is_the_systems_until_it_is_chosen_and_is_kept(opened: Opener) -> None:
    watched = opened("", theme="dark")
    page = watched.page
    ground = "() => getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Theme: system").click()
    light = page.evaluate(ground)
    assert light != dark
    page.goto(f"{watched.url}/playground")
    assert page.evaluate(ground) == light, "before anything is drawn, and on each page"
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Theme: dark").click()
    assert page.evaluate("() => localStorage.getItem('sagehold.theme')") is None
    watched.clean()


@pytest.mark.parametrize("path", ["", "playground", "console"])
def test_a_page_is_walked_through_by_keyboard(opened: Opener, operator: str, path: str) -> None:
    """Each stop is seen, has a name, and shows that it has the focus; the walk comes round."""
    watched = opened(path, key=operator)
    page = watched.page
    page.wait_for_load_state("networkidle")
    stops: list[str] = []
    for _ in range(120):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => {
              const at = document.activeElement;
              if (!at || at === document.body) return null;
              const box = at.getBoundingClientRect();
              const label = at.labels?.[0] ?? null;
              const named = at.getAttribute("aria-label") ?? document.getElementById(at.getAttribute("aria-labelledby"))
                ?.textContent ?? label?.textContent ?? at.textContent;
              return {
                which: at.outerHTML.slice(0, 120),
                name: named.trim(),
                seen: box.width > 0 && box.bottom > 0,
                // Round the field itself, or round the box that it is the field of.
                ring: box.width <= 1 || [at, at.parentElement, at.parentElement.parentElement].some((one) => {
                  const { outlineStyle, outlineWidth, borderColor } = getComputedStyle(one);
                  const accent = getComputedStyle(document.querySelector(".skip")).backgroundColor;
                  // With a border of the same colour one pixel more makes two.
                  return outlineStyle !== "none" && parseFloat(outlineWidth) >= (borderColor === accent ? 1 : 2);
                }),
              };
            }"""
        )
        if stop is None:
            break
        assert stop["name"], f"without a name: {stop['which']}"
        assert stop["ring"], f"no visible focus: {stop['which']}"
        stops.append(stop["which"])
    else:
        pytest.fail(f"the focus does not come round: {stops[-4:]}")
    assert len(stops) > 6, stops
    watched.clean()


def test_the_tabs_are_one_stop_and_follow_the_arrows(opened: Opener) -> None:
    watched = opened("playground#chat")
    page = watched.page
    tabs = page.get_by_role("tablist", name="What to try")
    tabs.get_by_role("tab", name="Chat").focus()
    page.keyboard.press("ArrowRight")
    expect(tabs.get_by_role("tab", name="Images")).to_be_focused()
    expect(tabs.get_by_role("tab", name="Images")).to_have_attribute("aria-selected", "true")
    assert page.url.endswith("#images")
    page.keyboard.press("End")
    assert page.url.endswith("#asksage")
    page.keyboard.press("ArrowRight")
    assert page.url.endswith("#chat")
    page.evaluate("() => { location.hash = '#speech'; }")
    expect(tabs.get_by_role("tab", name="Speech")).to_have_attribute("aria-selected", "true")
    watched.clean()


def test_a_tab_of_another_version_says_what_to_do(opened: Opener) -> None:
    """The server was updated: its files lie in another folder now."""
    watched = opened("playground#chat")
    page = watched.page
    page.route("**/js/playground/speech.js", lambda route: route.fulfill(status=404, body="{}"))
    page.get_by_role("tab", name="Speech").click()
    expect(page.get_by_role("alert")).to_contain_text("Speech could not be loaded. The server may have been updated")
    page.unroute_all()
    page.get_by_role("button", name="Load the page again").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_nothing_moves_for_whoever_asks_for_that(opened: Opener) -> None:
    watched = opened("playground")
    assert watched.page.evaluate("() => getComputedStyle(document.documentElement).getPropertyValue('--quick')") == "0s"
    moving = watched.page.evaluate("() => document.getAnimations().filter((one) => one.playState === 'running').length")
    assert moving == 0


def test_what_a_proxy_puts_before_the_path_is_kept(opened: Opener) -> None:
    watched = opened("console")
    page = watched.page
    expect(page.get_by_role("heading", level=1, name="My usage")).to_be_visible()
    page.goto(f"{watched.url}/openapi.json")  # which asks for nothing by itself
    asked: list[str] = []
    outside: list[str] = []

    def through(route: Route) -> None:
        path = route.request.url.removeprefix(watched.url)
        if not path.startswith("/ai/"):
            outside.append(path)
            route.abort()
            return
        asked.append(path)
        route.fulfill(response=route.fetch(url=watched.url + path.removeprefix("/ai")))

    page.route("**/*", through)
    page.goto(f"{watched.url}/ai/console")
    expect(page.get_by_role("heading", level=1, name="My usage")).to_be_visible()
    page.get_by_role("link", name="Playground").click()
    expect(page.get_by_role("tab", name="Chat")).to_be_visible()
    assert page.url.startswith(f"{watched.url}/ai/playground")
    assert outside == []
    assert "/ai/v1/key" in asked
    assert json.dumps(asked).count("/ai/assets/") > 10
    watched.clean()
