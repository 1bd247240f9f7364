"""What somebody meets who comes for the first time: without a key, before the models are known, on a phone."""

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.e2e.live import CHAT, EAR, VOICE, LiveServer
from tests.e2e.pages.conftest import Held, Opener

EMBEDDER, PAINTER = "all-minilm-l6-v2", "starter-image"
OWN = [("chat", CHAT), ("images", PAINTER), ("transcription", EAR), ("speech", VOICE), ("embeddings", EMBEDDER)]


def test_the_first_page_has_a_request_to_take_along_with_and_without_a_key(opened: Opener) -> None:
    watched = opened("", key="")
    code = watched.page.get_by_role("region", name="Your first request").get_by_label("Code in curl")
    expect(code).to_contain_text(f"{watched.url}/v1/models")
    expect(code).to_contain_text("Bearer $OPENAI_API_KEY")
    assert watched.axe() == []
    watched.clean()
    watched = opened("")
    code = watched.page.get_by_role("region", name="Your first request").get_by_label("Code in curl")
    expect(code).to_contain_text("/v1/chat/completions")
    expect(code).not_to_contain_text(opened.live.key)
    watched.clean()


@pytest.mark.parametrize("tab", ["images", "transcription", "speech", "embeddings"])
def test_without_a_key_the_choice_of_a_model_says_what_to_do(opened: Opener, tab: str) -> None:
    watched = opened(f"playground#{tab}", key="")
    choice = watched.page.get_by_label("Model", exact=True)
    expect(choice).to_be_disabled()
    expect(choice).to_contain_text("Enter your key to choose one")
    expect(watched.page.locator("#side .skeleton")).to_have_count(0)
    assert watched.axe() == []
    watched.clean()


def test_a_tab_begins_with_a_model_by_its_own_name(opened: Opener) -> None:
    """Not by one that other models have too, such as gpt-4o, which chats, draws and speaks."""
    watched = opened("playground")
    for tab, model in OWN:
        watched.page.evaluate("(tab) => { location.hash = tab; }", tab)
        expect(watched.page.get_by_label("Model", exact=True)).to_have_value(model)
    watched.clean()


@pytest.mark.parametrize(("tab", "button"), [("images", "Draw"), ("embeddings", "Compare")])
def test_nothing_is_begun_before_there_is_a_model(opened: Opener, tab: str, button: str) -> None:
    watched = opened("playground#speech")
    page = watched.page
    held = Held(page, "**/v1/models")
    page.reload()
    page.evaluate("(tab) => { location.hash = tab; }", tab)
    start = page.get_by_role("button", name=button, exact=True)
    expect(start).to_be_disabled()
    held.release()
    expect(start).to_be_enabled()
    watched.clean()


def test_on_a_phone_each_section_and_the_chosen_tab_are_in_sight(opened: Opener, operator: str) -> None:
    watched = opened("console", key=operator, size="narrow")
    page = watched.page
    sections = page.get_by_role("navigation", name="Sections").get_by_role("link")
    expect(sections).to_have_count(12)
    for section in sections.all():
        expect(section).to_be_in_viewport(ratio=0.99)
    page.goto(f"{watched.url}/playground#asksage")
    expect(page.get_by_role("tab", name="Ask Sage")).to_be_in_viewport(ratio=0.99)
    page.get_by_role("tab", name="Ask Sage").press("Home")
    expect(page.get_by_role("tab", name="Chat")).to_be_in_viewport(ratio=0.99)
    watched.clean()


def test_one_of_many_models_is_found(opened: Opener, operator: str) -> None:
    watched = opened("console#own", key=operator)
    page = watched.page

    def many(route: Route) -> None:
        answer: dict[str, Any] = route.fetch().json()
        first = answer["data"][0]
        answer["data"] = [{**first, "id": f"model-{number:02}", "names": []} for number in range(30)]
        answer["data"][17] |= {"state": "failed", "reason": "Its weights are not readable."}
        amount = {"host": 2**20, "gpus": {}}
        answer["memory"]["held"] = {f"model-{number:02}": {**amount, "host": 2**20 * number} for number in range(30)}
        route.fulfill(body=json.dumps(answer), content_type="application/json")

    page.route("**/admin/v1/models", many)
    page.evaluate("() => { location.hash = 'models'; }")
    cards = page.get_by_role("region", name="Installed models").get_by_role("article")
    expect(cards).to_have_count(30)
    page.get_by_label("State").select_option("failed")
    expect(cards).to_have_count(1)
    expect(cards).to_contain_text("Its weights are not readable.")
    expect(page.get_by_text("1 of 30 models")).to_be_visible()
    page.get_by_label("State").select_option("")
    page.get_by_label("Search").fill("MODEL-2")
    expect(cards).to_have_count(10)
    page.get_by_label("Search").fill("no such")
    expect(page.get_by_text("No model matches")).to_be_visible()
    # The largest holders are named; the others are one press away.
    memory = page.get_by_role("region", name="Memory")
    holders = memory.locator("li")
    expect(holders.filter(has_text="model-29")).to_be_visible()
    expect(holders.filter(has_text="model-03")).to_be_hidden()
    memory.get_by_text("21 others").click()
    expect(holders.filter(has_text="model-03")).to_be_visible()
    assert watched.axe() == []
    watched.clean()


def test_a_long_detail_of_an_act_is_folded(opened: Opener, server: LiveServer, operator: str) -> None:
    """A persona's prompt has pages; its row in the audit log has a few lines."""
    prompt = "You are the harbour master. " * 60 + "The last word."
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {operator}"}, timeout=30) as admin:
        made = admin.post("/admin/v1/personas", json={"name": "Harbour master", "prompt": prompt}).json()
        assert admin.delete(f"/admin/v1/personas/{made['id']}").status_code == 200
    watched = opened("console#audit", key=operator)
    page = watched.page
    row = page.get_by_role("row").filter(has_text="Harbour master").filter(has_text="You are the harbour").first
    expect(row.get_by_text("The last word.")).to_be_hidden()
    row.locator("summary").press("Enter")
    expect(row.get_by_text("The last word.")).to_be_visible()
    assert watched.axe() == []
    watched.clean()
