"""The playground's Chat tab: answered by the starter model, or by fakes where the answer must be known."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, Request, Route, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Held, Opener, Watched

SLOW = "one two three four five six seven eight nine ten"
CITY = "Which city?"
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
"""One pixel, a PNG file in base64."""
HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\n\n"
    "![a picture](http://evil.example/p.png) [a link](javascript:document.title='owned') "
    "<iframe src=http://evil.example></iframe> <style>*{display:none}</style> **bold**\n\n"
    "[ref]\n\n[ref]: javascript:alert(1)\n"
)
FAKES = {
    "plain": {"text": "Hello **world**, from the `fake`."},
    "slow": {"text": SLOW, "tokens": 400, "step": 0.03},
    "drafts": {"replies": {CITY: ["Lyon", "Paris.", "The Paris"]}, "text": "Paris."},
    "tool": {"call": {"name": "weather", "arguments": {"city": "Paris"}}, "text": "It is sunny."},
    "thinks": {"reasoning": "Two and two make four.", "text": "Four."},
    "long": {"text": "line\n\nline\n\n", "tokens": 600, "step": 0.01},
    "dies": {"die_after": 3},
}


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server with fake models that answer by a script."""

    def only_fakes(configs: Path) -> None:
        for installed in configs.glob("*.yaml"):
            installed.unlink()
        for name, options in FAKES.items():
            config: dict[str, Any] = {"name": name, "engine": "fake", "serves": "chat", "options": options}
            config["price"] = {"prompt_token": "0.001", "completion_token": "0.002"}
            config["quality"] = {"ultra": {"drafts": 3, "judge": False, "rewrite": False}}
            (configs / f"{name}.yaml").write_text(json.dumps(config))

    live = LiveServer(tmp_path_factory.mktemp("fakes"), change=only_fakes)
    try:
        live.wait_announced()
        live.wait_ready()
        yield live
    finally:
        live.stop()


@pytest.fixture
def faked(chromium: Browser, fakes: LiveServer) -> Iterator[Opener]:
    opener = Opener(chromium, fakes)
    yield opener
    opener.close()


# ---------------------------------------------------------------- what a reader does


def choose(page: Page, model: str, quality: str = "auto", column: str = "Model and quality") -> None:
    group = page.get_by_role("group", name=column)
    group.get_by_label("Model").select_option(model)
    group.get_by_label("Quality", exact=True).select_option(quality)


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def answers(page: Page) -> Locator:
    return page.get_by_role("article", name=re.compile("^Answer of"))


def finished(page: Page, count: int = 1) -> Locator:
    """The last answer, once all `count` that are shown are there."""
    expect(page.locator(".chat-answer[aria-busy]")).to_have_count(0, timeout=30_000)
    expect(answers(page)).to_have_count(count)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    return answers(page).last


def opened_at(faked: Opener, model: str, quality: str = "auto") -> Watched:
    watched = faked("playground#chat")
    choose(watched.page, model, quality)
    return watched


def sent(page: Page) -> list[dict[str, Any]]:
    """The bodies of the chats that the page asks for from now on."""
    found: list[dict[str, Any]] = []

    def note(request: Request) -> None:
        if request.url.endswith("/v1/chat/completions"):
            found.append(json.loads(request.post_data or ""))

    page.on("request", note)
    return found


# ---------------------------------------------------------------- on the starter model


def test_a_newcomer_reads_a_streamed_answer_after_three_clicks(opened: Opener) -> None:
    watched = opened("playground", key="")
    page = watched.page
    page.get_by_role("button", name="Enter key").last.click()
    page.get_by_label("Key", exact=True).fill(opened.live.key)
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("Explain how a rainbow forms").click()
    answer = finished(page)
    expect(answer.locator(".prose")).to_contain_text(re.compile(r"\w{3}"))
    facts = answer.locator(".chat-facts").first
    expect(facts).to_contain_text(re.compile(r"\d+ \+ \d+ tokens"))
    expect(facts).to_contain_text(re.compile(r"[\d.]+ credits"))
    expect(facts).to_contain_text(re.compile(r"[\d.]+ s to first token"))
    expect(facts).to_contain_text(re.compile(r"\d tokens/s"))
    expect(page.get_by_role("status").filter(has_text="The answer is finished")).to_have_count(1)
    assert watched.axe() == []
    watched.clean()


def test_an_answer_by_a_schema_is_json_and_its_tokens_are_shaded(opened: Opener) -> None:
    watched = opened("playground#chat")
    page = watched.page
    page.get_by_text("Form of the answer").click()
    page.get_by_label("The answer is").select_option("json_schema")
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}
    page.get_by_label("JSON Schema").fill(json.dumps(schema))
    ask(page, "Tokyo is the capital of Japan.")
    code = finished(page).locator(".code-block code")
    assert list(json.loads(code.inner_text())) == ["city"]
    page.get_by_label("The answer is").select_option("text")
    page.get_by_text("Tokens", exact=True).first.click()
    page.get_by_label("Log-probabilities", exact=True).check()
    page.get_by_label("Alternatives for each token").fill("3")
    page.get_by_label("Longest answer, in tokens").fill("8")
    page.get_by_label("Temperature", exact=True).fill("0")  # else a token beside the three may be drawn
    ask(page, "Say yes.")
    answer = finished(page, 2)
    tokens = answer.locator(".chat-token")
    assert 1 <= tokens.count() <= 8
    answer.get_by_role("group", name=re.compile("Tokens of the answer")).focus()
    page.keyboard.press("ArrowRight")
    expect(answer.locator(".chat-alternatives li")).to_have_count(3)
    expect(answer.locator(".chat-drawn")).to_have_count(1)
    assert watched.axe() == []
    watched.clean()


# ---------------------------------------------------------------- stop, again, edit, keep


def test_an_answer_is_stopped_by_escape_and_written_on(faked: Opener) -> None:
    watched = opened_at(faked, "slow")
    page = watched.page
    ask(page, "Count.")
    expect(answers(page)).to_contain_text("three")
    page.keyboard.press("Escape")
    answer = finished(page)
    expect(answer).to_contain_text("stopped")
    text = answer.locator(".prose").inner_text()
    assert 3 <= len(text.split()) < 400
    expect(answer.locator(".chat-facts").first).to_contain_text(re.compile(r"1 \+ \d+ tokens"))
    bodies = sent(page)
    answer.get_by_role("button", name="Write on").click()
    expect(answers(page)).to_contain_text(text + "one")
    page.get_by_role("button", name="Stop").last.click()
    finished(page)
    assert bodies[0]["continue_final_message"] is True
    assert bodies[0]["messages"][-1] == {"role": "assistant", "content": text}
    watched.clean()


def test_asking_again_and_editing_make_branches_that_a_reload_keeps(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    ask(page, "First")
    finished(page).get_by_role("button", name="Answer again").click()
    expect(finished(page)).to_contain_text("2 / 2")
    ask(page, "Second")
    finished(page, 2)
    page.get_by_role("article", name="You").first.get_by_role("button", name="Edit").click()
    page.get_by_label("Text of the message").fill("Another")
    page.get_by_role("button", name="Save and send").click()
    finished(page)
    expect(page.get_by_role("article", name="You")).to_contain_text("Another")
    page.reload()
    expect(page.get_by_role("article", name="You")).to_contain_text("Another")
    page.get_by_role("button", name="Branch before").click()
    expect(page.get_by_role("article", name="You").first).to_contain_text("First")
    expect(page.get_by_role("article", name="You")).to_have_count(2)
    first = answers(page).first
    expect(first).to_contain_text("2 / 2")
    first.get_by_role("button", name="Edit").click()
    page.get_by_label("Text of the message").fill("Mine.")
    page.get_by_role("button", name="Save", exact=True).click()
    bodies = sent(page)
    ask(page, "Third")
    finished(page, 2)
    assert [message["content"] for message in bodies[0]["messages"]] == ["First", "Mine.", "Third"]
    watched.clean()


def test_a_reload_in_mid_stream_loses_nothing_that_was_shown(faked: Opener) -> None:
    watched = opened_at(faked, "slow")
    page = watched.page
    ask(page, "Count.")
    expect(answers(page)).to_contain_text("ten")
    page.reload()
    answer = finished(page)
    expect(answer).to_contain_text("one two three four five six seven eight nine ten")
    expect(answer).to_contain_text("The page was left while this was written")
    watched.clean()


def test_an_answer_that_ends_while_the_page_is_left_is_kept_whole(faked: Opener) -> None:
    watched = opened_at(faked, "slow")
    page = watched.page
    ask(page, "Count.")
    expect(answers(page)).to_contain_text("two")
    # From here on the browser writes nothing that comes to an end before the page is gone.
    page.evaluate(
        """() => {
          const never = () => ({});
          const store = { get: never, getAll: never, put: never, delete: never, index: () => store };
          IDBDatabase.prototype.transaction = () => ({ objectStore: () => store });
        }"""
    )
    written = finished(page).locator(".prose").inner_text()
    page.reload()
    expect(finished(page).locator(".prose")).to_have_text(written)
    expect(page.get_by_text("The page was left while this was written")).to_have_count(0)
    watched.clean()


def test_what_reads_markdown_comes_with_the_first_answer(faked: Opener) -> None:
    """Until it is there the text stands as it was written; a kept answer is not shown like that first."""
    watched = opened_at(faked, "plain")
    page = watched.page
    prose = Held(page, "**/js/components/prose.js")
    ask(page, "Hello")
    expect(finished(page).locator(".prose")).to_have_text("Hello **world**, from the `fake`.")
    prose.release()
    expect(answers(page).locator(".prose strong")).to_have_text("world")
    prose = Held(page, "**/js/components/prose.js")
    with page.expect_request("**/js/components/prose.js"):
        page.reload()
    expect(page.get_by_role("region", name="Chats").get_by_role("listitem")).to_have_count(1)
    expect(page.locator(".prose")).to_have_count(0)
    prose.release()
    expect(answers(page).locator(".prose strong")).to_have_text("world")
    watched.clean()


def test_an_answer_can_be_read_where_the_files_that_read_markdown_do_not_come(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    page.route("**/js/components/prose.js", lambda route: route.fulfill(status=404, body="{}"))
    ask(page, "Hello")
    expect(finished(page).locator(".prose")).to_have_text("Hello **world**, from the `fake`.")
    page.reload()
    expect(answers(page).locator(".prose")).to_have_text("Hello **world**, from the `fake`.")


def test_chats_are_named_found_exported_imported_and_deleted(faked: Opener, tmp_path: Path) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    listed = page.get_by_role("region", name="Chats")
    ask(page, "About <b>apples</b>")
    finished(page)
    listed.get_by_role("button", name="New chat").click()
    ask(page, "About pears")
    finished(page)
    expect(listed.get_by_role("listitem")).to_have_count(2)
    listed.get_by_label("Search the chats").fill("apples")
    expect(listed.get_by_role("listitem")).to_have_count(1)
    expect(listed.get_by_role("listitem")).to_contain_text("About <b>apples</b>")
    listed.get_by_role("button", name="Rename").click()
    page.get_by_label("Name of the chat").fill("Fruit")
    page.keyboard.press("Enter")
    expect(listed.get_by_role("button", name="Fruit", exact=True)).to_be_visible()
    listed.get_by_label("Search the chats").fill("")
    with page.expect_download() as downloading:
        listed.get_by_role("button", name="Export").click()
    file = tmp_path / "chats.json"
    downloading.value.save_as(file)
    assert faked.live.key not in file.read_text()
    assert {chat["title"] for chat in json.loads(file.read_text())["chats"]} == {"Fruit", "About pears"}
    for _ in range(2):
        listed.get_by_role("button", name=re.compile("^Delete")).first.click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    expect(listed).to_contain_text("Chats that you begin are kept in this browser")
    page.get_by_label("Import").set_input_files(file)
    expect(listed.get_by_role("listitem")).to_have_count(2)
    listed.get_by_role("button", name="Fruit", exact=True).click()
    expect(page.get_by_role("article", name="You")).to_contain_text("About <b>apples</b>")
    file.write_text('{"sagehold": "chats", "version": 9, "chats": []}')
    page.get_by_label("Import").set_input_files(file)
    expect(listed.get_by_role("alert")).to_contain_text("The file has version 9; this page reads version 1.")
    watched.clean()


def test_two_tabs_of_one_chat_lose_nothing_of_each_other(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    ask(page, "First")
    finished(page)
    other = page.context.new_page()
    other.goto(page.url)
    ask(page, "Here")
    finished(page, 2)
    expect(other.get_by_role("article", name="You")).to_have_count(2)
    ask(other, "There")
    finished(other, 3)
    expect(page.get_by_role("article", name="You").last).to_contain_text("There")
    ask(page, "Here again")
    finished(page, 4)
    page.reload()
    finished(page, 4)
    watched.clean()


def test_what_was_typed_and_chosen_outlives_the_page(faked: Opener) -> None:
    watched = opened_at(faked, "thinks", "low")
    page = watched.page
    page.get_by_label("System prompt").fill("Be brief.")
    page.get_by_label("Message", exact=True).fill("Half a thought")
    page.reload()
    expect(page.get_by_label("Message", exact=True)).to_have_value("Half a thought")
    expect(page.get_by_label("System prompt")).to_have_value("Be brief.")
    expect(page.get_by_role("group", name="Model and quality").get_by_label("Model")).to_have_value("thinks")
    bodies = sent(page)
    page.get_by_label("Message", exact=True).press("Enter")
    answer = finished(page)
    assert bodies[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Half a thought"},
    ]
    assert bodies[0]["quality"] == "low"
    answer.get_by_text("Reasoning", exact=True).click()
    expect(answer).to_contain_text("Two and two make four.")
    watched.clean()


def test_the_page_follows_an_answer_until_its_reader_scrolls_up(faked: Opener) -> None:
    watched = opened_at(faked, "long")
    page = watched.page
    at_end = "() => innerHeight + scrollY >= document.documentElement.scrollHeight - 2"
    ask(page, "Go on.")
    page.wait_for_function(f"() => scrollY > 200 && ({at_end})()")
    page.mouse.move(500, 400)
    page.mouse.wheel(0, -150)
    newest = page.get_by_role("button", name="To the newest")
    newest.wait_for()
    before = page.evaluate("() => ({ y: scrollY, height: document.documentElement.scrollHeight })")
    page.wait_for_function("height => document.documentElement.scrollHeight > height + 100", arg=before["height"])
    assert page.evaluate("() => scrollY") <= before["y"]
    newest.click()
    page.wait_for_function(at_end)
    finished(page)
    page.wait_for_function(at_end)
    watched.clean()


def test_the_code_of_a_chat_is_what_is_sent_and_of_either_column(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    page.get_by_role("tab", name="Code").click()
    expect(page.get_by_text("There is nothing to send yet.")).to_be_visible()
    page.get_by_label("Side by side").check()
    choose(page, "drafts", column="Right")
    page.get_by_label("Message", exact=True).fill("It's me")
    code = page.get_by_label("Code in curl")
    expect(code).to_contain_text('"model": "plain"')
    page.get_by_label("Code of").select_option("Right")
    expect(code).to_contain_text('"model": "drafts"')
    written = code.inner_text()
    body = json.loads(written[written.index("-d '") + 4 : written.rindex("'")].replace("'\\''", "'"))
    bodies = sent(page)
    page.get_by_role("button", name="Send", exact=True).click()
    finished(page, 2)
    assert body in bodies
    assert faked.live.key not in page.content()
    watched.clean()


# ---------------------------------------------------------------- tools, quality, columns, pictures


def test_a_tool_is_called_and_its_typed_result_goes_on(faked: Opener) -> None:
    watched = opened_at(faked, "tool")
    page = watched.page
    page.get_by_text("Tools", exact=True).click()
    page.get_by_role("button", name="Add a tool").click()
    page.get_by_label("Name", exact=True).fill("weather")
    page.get_by_label("Parameters, as a JSON Schema").fill("{")
    expect(page.get_by_text(re.compile("^This is no JSON")).first).to_be_visible()
    page.get_by_label("Message", exact=True).fill("How is the weather?")
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    page.get_by_label("Parameters, as a JSON Schema").fill('{"type": "object"}')
    bodies = sent(page)
    page.get_by_role("button", name="Send", exact=True).click()
    answer = finished(page)
    expect(answer.get_by_label("Arguments of weather")).to_contain_text('"city": "Paris"')
    assert bodies[0]["tools"][0]["function"] == {"name": "weather", "parameters": {"type": "object"}}
    expect(page.get_by_role("button", name="Send the result")).to_be_disabled()
    answer.get_by_label("Result of weather").fill('{"sky": "clear"}')
    page.get_by_label("When it calls").select_option("none")
    page.get_by_role("button", name="Send the result").click()
    expect(finished(page, 2)).to_contain_text("It is sunny.")
    *_, call, result = bodies[1]["messages"]
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": '{"sky": "clear"}'}
    expect(page.get_by_role("article", name="Result of weather")).to_contain_text('"sky": "clear"')
    assert watched.axe() == []
    watched.clean()


def test_the_passes_of_a_mode_and_its_drafts_are_shown(faked: Opener) -> None:
    watched = opened_at(faked, "drafts", "ultra")
    page = watched.page
    ask(page, CITY)
    answer = finished(page)
    expect(answer.locator(".prose").first).to_have_text("Paris.")
    answer.get_by_text("How it was made: ultra, 1 pass, 3 drafts").click()
    expect(answer).to_contain_text("2 of 3 drafts agree")
    drafts = answer.locator(".chat-drafts li")
    expect(drafts).to_have_count(3)
    expect(drafts.nth(0)).to_contain_text("1 vote")
    expect(drafts.nth(1)).to_contain_text("the answer")
    expect(drafts.nth(1)).to_contain_text("Paris.")
    assert watched.axe() == []
    watched.clean()


def test_a_call_on_the_right_is_waited_for_too(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    page.get_by_label("Side by side").check()
    choose(page, "plain", column="Left")
    choose(page, "tool", column="Right")
    page.get_by_text("Tools", exact=True).click()
    page.get_by_role("button", name="Add a tool").click()
    page.get_by_label("Name", exact=True).fill("weather")
    ask(page, "Hello")
    finished(page, 2)
    expect(page.get_by_role("region", name="Right").get_by_label("Result of weather")).to_be_visible()
    page.get_by_label("Message", exact=True).fill("And more")
    expect(page.get_by_text("Type in the result of the call above")).to_be_visible()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    watched.clean()


def test_two_models_answer_side_by_side_and_one_is_kept(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    page.get_by_label("Side by side").check()
    choose(page, "plain", column="Left")
    choose(page, "drafts", column="Right")
    bodies = sent(page)
    ask(page, "Hello")
    finished(page, 2)
    expect(page.get_by_role("article", name="You")).to_have_count(1)
    left, right = page.get_by_role("region", name="Left"), page.get_by_role("region", name="Right")
    expect(left).to_contain_text("Hello world, from the fake.")
    expect(right).to_contain_text("Paris.")
    ask(page, "And more")
    finished(page, 4)
    assert sorted(body["model"] for body in bodies) == ["drafts", "drafts", "plain", "plain"]
    histories = {body["model"]: [one["content"] for one in body["messages"]] for body in bodies[2:]}
    assert histories["drafts"] == ["Hello", "Paris.", "And more"]
    assert watched.axe() == []
    right.get_by_role("button", name="Go on with this one").click()
    finished(page, 2)
    expect(answers(page).first).to_contain_text("Paris.")
    expect(answers(page).first).to_contain_text("2 / 2")
    expect(page.get_by_role("group", name="Model and quality").get_by_label("Model")).to_have_value("drafts")
    watched.clean()


def test_pictures_go_along_and_stay_with_the_chat(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    picture: FilePayload = {"name": "p.png", "mimeType": "image/png", "buffer": b64decode(PICTURE)}
    page.get_by_label("Add pictures").set_input_files([picture, picture])
    page.get_by_role("button", name="Take picture 2 away").click()
    page.get_by_label("Add pictures").set_input_files({"name": "a.txt", "mimeType": "text/plain", "buffer": b"x"})
    expect(page.get_by_role("alert")).to_contain_text("Pictures are PNG, JPEG, WebP or GIF files.")
    bodies = sent(page)
    ask(page, "What is it?")
    finished(page)
    assert bodies[0]["messages"][0]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
    ]
    page.reload()
    expect(page.get_by_role("img", name="Picture 1 of the message")).to_be_visible()
    watched.clean()


# ---------------------------------------------------------------- what goes wrong


def hostile(route: Route) -> None:
    delta = {"content": HOSTILE, "reasoning": HOSTILE}
    call = {"index": 0, "id": "<b>", "type": "function", "function": {"name": "<i>x</i>", "arguments": "<u>y</u>"}}
    chunks = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]},
    ]
    frames = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    route.fulfill(content_type="text/event-stream", body=f"{frames}data: [DONE]\n\n")


def test_what_a_model_writes_neither_runs_nor_loads(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    page.route("**/v1/chat/completions", hostile)
    ask(page, HOSTILE)
    answer = finished(page)
    expect(answer.locator("strong", has_text="bold")).to_have_count(1)
    expect(answer.get_by_role("link", name="a picture")).to_have_attribute("href", "http://evil.example/p.png")
    assert answer.locator("img, script, iframe, style, [onerror]").count() == 0
    assert answer.locator("a[href^=javascript]").count() == 0
    expect(answer).to_contain_text("<script>document.title='owned'</script>")
    expect(answer).to_contain_text("<i>x</i>")
    page.reload()
    expect(answers(page)).to_contain_text("<script>")
    assert "owned" not in page.title()
    assert watched.axe() == []
    watched.clean()


def test_a_key_that_is_refused_in_the_middle_loses_nothing(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    ask(page, "Before")
    finished(page)
    refusal = {
        "error": {"message": "This key was revoked.", "type": "invalid_request_error", "code": "invalid_api_key"}
    }
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=401, json=refusal))
    ask(page, "After")
    expect(page.get_by_role("dialog")).to_contain_text("This key was revoked.")
    page.unroute("**/v1/chat/completions")
    page.get_by_role("dialog").get_by_label("Key").fill(faked.live.key)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("article", name="You").last).to_contain_text("After")
    expect(answers(page).last.get_by_role("alert")).to_contain_text("This key was revoked.")
    page.get_by_role("button", name="Try again").click()
    answer = finished(page, 2)
    expect(answer).to_contain_text("Hello world")
    # What failed with nothing in it is no branch.
    expect(answer.get_by_role("group", name="Branches")).to_have_count(0)
    watched.clean()


def test_an_engine_that_dies_leaves_what_it_wrote_and_says_so(faked: Opener) -> None:
    watched = opened_at(faked, "dies")
    page = watched.page
    ask(page, "Hello")
    answer = finished(page)
    expect(answer.locator(".prose")).to_contain_text("Hello from")
    expect(answer.get_by_role("alert")).to_contain_text("The model's engine stopped")
    expect(answer.get_by_role("alert")).to_contain_text("req_")
    expect(answer).not_to_contain_text("credits")
    watched.clean()


def test_a_refusal_tells_its_field(faked: Opener) -> None:
    watched = opened_at(faked, "plain")
    page = watched.page
    page.get_by_text("Server", exact=True).click()
    page.get_by_label("Further fields").fill('{"use_beam_search": true}')
    ask(page, "Hello")
    alert = finished(page).get_by_role("alert")
    expect(alert).to_contain_text("Beam search is not supported")
    expect(alert).to_contain_text("Field: use_beam_search")
    assert (400, "/v1/chat/completions") in watched.refused
    watched.clean()
