"""The console's sections Models and Settings: they show what the server says, and do what is pressed."""

import json
import threading
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.e2e.live import VOICE, LiveServer
from tests.e2e.pages.conftest import Opener, Watched


@pytest.fixture(scope="module")
def admin(fakes: LiveServer) -> str:
    return fakes.command("keys", "create", "--name", "operator", "--scopes", "inference,usage,admin")


@pytest.fixture
def fake_pages(chromium: Browser, fakes: LiveServer) -> Iterator[Opener]:
    opener = Opener(chromium, fakes)
    yield opener
    opener.close()


def card(page: Page, model: str) -> Locator:
    return page.get_by_role("article", name=model, exact=True)


def press(page: Page, act: str, model: str) -> None:
    card(page, model).get_by_role("button", name=f"{act} {model}", exact=True).click()


def state(page: Page, model: str, word: str) -> None:
    """Until it has come to that: a load takes its time on a busy machine."""
    expect(card(page, model).get_by_role("heading", level=3)).to_have_text(f"{model} {word}", timeout=60_000)


def test_a_model_is_probed_unloaded_and_loaded_again(opened: Opener, server: LiveServer, operator: str) -> None:
    watched = opened("console#models", key=operator)
    page = watched.page
    state(page, VOICE, "ready")
    memory = page.get_by_role("region", name="Memory")
    expect(memory.get_by_role("listitem").filter(has_text=VOICE)).to_be_visible()

    press(page, "Probe", VOICE)
    report = card(page, VOICE).get_by_role("status", name="Probe")
    expect(report).to_contain_text("passed")
    expect(report).to_contain_text("s of speech, RMS")
    watched.shot("console-models-probed")

    press(page, "Unload", VOICE)
    dialog = page.get_by_role("dialog", name=f"Unload {VOICE}?")
    expect(dialog).to_contain_text("The next request for it loads it")
    dialog.get_by_role("button", name="Unload").click()
    expect(dialog).to_have_count(0)
    state(page, VOICE, "unloaded")
    expect(page.get_by_role("status").filter(has_text=f"{VOICE}: unloaded.")).to_have_count(1)
    expect(memory.get_by_role("listitem").filter(has_text=VOICE)).to_have_count(0)
    assert server.metric("sagehold_memory_held_bytes", VOICE) == 0

    press(page, "Load", VOICE)
    expect(card(page, VOICE).get_by_role("progressbar")).to_be_visible()
    expect(card(page, VOICE)).to_contain_text("so far")
    state(page, VOICE, "ready")
    expect(memory.get_by_role("listitem").filter(has_text=VOICE)).to_be_visible()
    acts = httpx.get(f"{server.url}/admin/v1/audit", headers={"Authorization": f"Bearer {operator}"}).json()["data"]
    assert [act["action"] for act in acts if act["target"] == VOICE][:3] == [
        "model.load",
        "model.unload",
        "model.probe",
    ]
    watched.clean()


def test_why_a_model_failed_stands_there_in_full_as_text(fake_pages: Opener, admin: str) -> None:
    watched = fake_pages("console#models", key=admin)
    page = watched.page
    state(page, "broken", "failed")
    expect(card(page, "broken")).to_contain_text("The weights are <b>not</b> readable.")
    expect(card(page, "broken").locator("b", has_text="not")).to_have_count(0)
    expect(page.get_by_text("2 of 3")).to_be_visible()
    press(page, "Load", "broken")
    state(page, "broken", "failed")
    press(page, "Unload", "broken")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It is not tried again by itself.")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    watched.clean()


def test_what_is_not_installed_stands_there_with_the_command_that_brings_it(fake_pages: Opener, admin: str) -> None:
    watched = fake_pages("console#models", key=admin)
    row = watched.page.get_by_role("row").filter(has_text="absent")
    expect(row).to_contain_text("scripts/models absent")
    expect(row).to_contain_text("nowhere/absent")
    watched.clean()


def test_a_model_in_use_is_unloaded_when_its_requests_had_their_time(
    fake_pages: Opener, fakes: LiveServer, admin: str
) -> None:
    ended: list[str] = []

    def ask() -> None:
        body = {"model": "slow", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
        headers = {"Authorization": f"Bearer {admin}"}
        with httpx.stream("POST", f"{fakes.url}/v1/chat/completions", json=body, headers=headers, timeout=60) as answer:
            ended.append(answer.read().decode())

    watched = fake_pages("console#models", key=admin)
    page = watched.page
    asking = threading.Thread(target=ask)
    asking.start()
    expect(card(page, "slow")).to_contain_text("1 of 256 at work")
    press(page, "Unload", "slow")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 request at work")
    grace = dialog.get_by_label("Seconds for the requests at work")
    grace.fill("601")
    expect(dialog).to_contain_text("From 0 to 600 seconds.")
    grace.fill("2")
    dialog.get_by_role("button", name="Unload").click()
    state(page, "slow", "draining")
    expect(card(page, "slow")).to_contain_text("It is being put away, when its 1 request at work has ended.")
    state(page, "slow", "unloaded")
    asking.join(30)
    assert "engine stopped while it worked on this request" in ended[0]
    press(page, "Load", "slow")
    state(page, "slow", "ready")
    watched.clean()


def test_a_refusal_stands_where_it_was_asked_for(fake_pages: Opener, admin: str) -> None:
    def refuse(route: Route) -> None:
        error = {"message": "The model `quick` is in use: 2 at work, 0 waiting.", "code": "conflict", "param": None}
        route.fulfill(status=409, json={"error": error | {"type": "invalid_request_error"}})

    watched = fake_pages("console#models", key=admin)
    page = watched.page
    page.route("**/admin/v1/models/quick/unload", refuse)
    press(page, "Unload", "quick")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Seconds")).to_have_count(0)
    dialog.get_by_role("button", name="Unload").click()
    expect(dialog.get_by_role("alert")).to_contain_text("in use: 2 at work")
    # Now the server has said that somebody uses it, the operator may give them time.
    expect(dialog.get_by_label("Seconds for the requests at work")).to_have_value("30")
    sent: list[dict[str, int]] = []

    def take(route: Route) -> None:
        sent.append(json.loads(route.request.post_data or "{}"))
        route.fulfill(json={})

    page.unroute("**/admin/v1/models/quick/unload")
    page.route("**/admin/v1/models/quick/unload", take)
    dialog.get_by_role("button", name="Unload").click()
    expect(dialog).to_have_count(0)
    assert sent == [{"grace": 30}]
    watched.clean()


def test_each_state_of_a_model_is_drawn_and_sound(fake_pages: Opener, admin: str) -> None:
    watched: Watched = fake_pages("", key=admin)
    page = watched.page
    headers = {"Authorization": f"Bearer {admin}"}
    listing = httpx.get(f"{watched.url}/admin/v1/models", headers=headers).json()
    one = next(model for model in listing["data"] if model["id"] == "quick")
    listing["data"] = [
        one | {"id": "coming", "state": "loading", "loading": {"phase": "waiting for memory", "seconds": 75.2}},
        one | {"id": "resting", "state": "asleep"},
        one | {"id": "kept-out", "state": "unloaded", "refusal": "There is no memory while other models are busy."},
        one | {"id": "going", "state": "draining", "running": 3},
        one | {"id": "many", "state": "ready", "names": [f"name-{number}" for number in range(40)]},
    ]
    held = {name: {"host": 1 << 30, "gpus": {"0": 3 << 30}} for name in ("many", "going")}
    listing["memory"] = {"budget": {"host": 8 << 30, "gpus": {"0": 10 << 30}}, "held": held, "reported": held}
    page.route("**/admin/v1/models", lambda route: route.fulfill(json=listing))
    page.goto(f"{watched.url}/console#models")
    expect(card(page, "coming")).to_contain_text("Loading: waiting for memory, 1 min 15 s so far")
    expect(card(page, "resting").get_by_role("button", name="Wake resting", exact=True)).to_be_visible()
    expect(card(page, "kept-out")).to_contain_text("There is no memory while other models are busy.")
    expect(card(page, "going").get_by_role("button", name="Unload")).to_have_count(0)
    more = card(page, "many").get_by_role("button", name="and 34 more")
    more.click()
    expect(card(page, "many")).to_contain_text("name-39")
    expect(page.get_by_role("img", name="GPU 0: 6.0 GiB of 10.0 GiB held")).to_be_visible()
    assert watched.axe() == []
    watched.shot("console-models-states")
    page.route("**/admin/v1/models", lambda route: route.abort())
    expect(page.get_by_text("What is shown may be out of date.")).to_be_visible()
    expect(card(page, "many")).to_be_visible()
    watched.clean()


# ---------------------------------------------------------------- settings


def test_settings_are_found_with_where_they_come_from_and_no_secret(fake_pages: Opener, admin: str) -> None:
    watched = fake_pages("console#settings", key=admin)
    page = watched.page
    rows = page.get_by_role("table").get_by_role("row")
    search = rows.filter(has_text="SAGEHOLD_SEARXNG_URL")
    expect(search).to_contain_text("http://me:***@127.0.0.1:9/")
    expect(search).to_contain_text("secret hidden")
    assert "secret-word" not in page.content()
    body = rows.filter(has_text="SAGEHOLD_MAX_BODY")
    expect(body).to_contain_text("1MiB")
    expect(body).to_contain_text("default: 20MiB")
    expect(body).to_contain_text("environment")
    expect(rows.filter(has_text="SAGEHOLD_DATA_DIR")).to_contain_text("flag")
    page.get_by_label("Search").fill("json BODY")
    expect(rows).to_have_count(2)
    expect(page.get_by_role("status").filter(has_text="1 setting")).to_be_visible()
    page.get_by_label("Search").fill("no such thing")
    expect(page.get_by_text("No setting is like that")).to_be_visible()
    page.get_by_label("Search").fill("")
    page.get_by_label("Only those that are not by default").check()
    expect(rows.filter(has_text="SAGEHOLD_SEARXNG_URL")).to_be_visible()
    expect(rows.filter(has_text="SAGEHOLD_AUTH")).to_have_count(0)
    watched.clean()
