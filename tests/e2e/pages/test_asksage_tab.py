"""The Ask Sage tab: from a file that is dropped to the passage that an answer draws on; hostile files and answers."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
from playwright.sync_api import Page, Route, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Held, Opener, Watched

RULES = """# Rules of the lighthouse

The keeper writes down every ship.

## Leave

A keeper has thirty-one days of leave a year.

## Fog

In fog the horn sounds every forty seconds.
"""
HOSTILE_NAME = "<img src=x onerror=alert(1)>.md"
HOSTILE = "# <b>Bold</b>\n\n<script>alert(2)</script> The raven keeps ![p](http://evil.example/p.png) the code.\n"
SEPARATOR = "@|@sep@|@"
SLOW = 120_000
"""Milliseconds for the starter models' work on a machine that has other things to do."""


def dropped(page: Page, files: dict[str, str]) -> None:
    """Drop files on the place for them, as a person does."""
    held = page.evaluate_handle(
        """(files) => {
          const held = new DataTransfer();
          for (const [name, text] of Object.entries(files)) held.items.add(new File([text], name));
          return held;
        }""",
        files,
    )
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": held})


def dataset_of(page: Page, name: str) -> None:
    """Make a dataset, which is the one that is shown then."""
    page.get_by_role("tab", name="Datasets").click()
    page.get_by_label("Name of a new dataset").fill(name)
    page.get_by_role("button", name="Create dataset").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def answering(watched: Watched, *pieces: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    """Have the next questions answered by that, in place of the server. What was asked."""
    asked: list[dict[str, Any]] = []
    body = "".join(json.dumps(piece) + SEPARATOR for piece in pieces)

    def fulfil(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(body=body, headers={"content-type": "text/plain; charset=utf-8", **headers})

    watched.page.unroute("**/server/query_stream")
    watched.page.route("**/server/query_stream", fulfil)
    return asked


def whole(message: str, citations: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
    nothing = {"live_unavailable": None, "embedding_down": False, "vectors_down": False, "usage": None}
    return {
        "type": "completion",
        "status": 200,
        "response": "OK",
        "message": message,
        "citations": list(citations),
        "provenance": {"model": "chat", "datasets": []},
        **nothing,
        **more,
    }


def ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_a_file_is_dropped_asked_about_and_opened_at_the_passage(opened: Opener, server: LiveServer) -> None:
    watched = opened("playground#asksage")
    page = watched.page
    dataset_of(page, "lighthouse")
    dropped(page, {"rules.md": RULES, HOSTILE_NAME: HOSTILE, "empty.txt": " "})
    documents = page.get_by_role("list", name="Documents of lighthouse")
    expect(documents.get_by_text("Ready", exact=True)).to_have_count(2, timeout=SLOW)
    expect(documents.get_by_text("There is no text in the file.")).to_be_visible()
    expect(documents.get_by_text(HOSTILE_NAME)).to_be_visible()

    page.get_by_role("tab", name="Ask", exact=True).click()
    page.get_by_label("Answer from").select_option("chosen")
    page.get_by_label("lighthouse").check()
    page.get_by_label("References", exact=True).fill("2")
    ask(page, "In fog, how often does the horn sound?")
    references = page.get_by_role("region", name="References")
    expect(references).to_be_visible(timeout=SLOW)
    expect(page.get_by_role("status").filter(has_text="The answer is finished, with 2 references.")).to_be_attached()
    references.get_by_role("button").filter(has_text="forty seconds").click()
    reading = page.get_by_role("dialog", name="rules.md")
    expect(reading.locator("mark")).to_have_text("In fog the horn sounds every forty seconds.")
    expect(reading.locator("mark")).to_be_in_viewport()
    expect(reading.get_by_text("A keeper has thirty-one days of leave a year.")).to_be_visible()
    expect(reading.get_by_role("heading", name="Rules of the lighthouse › Fog")).to_be_visible()
    assert watched.axe() == []
    page.keyboard.press("Escape")
    expect(reading).to_have_count(0)

    # The code is the very request.
    page.get_by_role("tab", name="Code").click()
    code = page.get_by_label("Code in curl").inner_text()
    sent = json.loads(code[code.index("{") : code.rindex("}") + 1])
    assert sent["dataset"] == [name for name in _datasets(server) if "lighthouse" in name]
    assert sent["limit_references"] == 2
    assert server.key not in code

    # What stands in a hostile file is text, where it is read too.
    page.get_by_role("tab", name="Settings").click()
    ask(page, "Who keeps the code?")
    expect(page.get_by_role("region", name="References")).to_have_count(2, timeout=SLOW)
    page.get_by_role("region", name="References").last.get_by_role("button").filter(has_text="raven").click()
    hostile = page.get_by_role("dialog", name=HOSTILE_NAME)
    expect(hostile.locator("mark")).to_contain_text("<script>alert(2)</script> The raven")
    expect(hostile.get_by_role("heading", name="<b>Bold</b>")).to_be_visible()
    assert page.locator("dialog img, dialog script, dialog b").count() == 0
    page.keyboard.press("Escape")
    assert watched.refused == []
    watched.clean()


def _datasets(server: LiveServer) -> list[str]:
    answer = httpx.post(f"{server.url}/server/get-datasets", headers={"x-access-tokens": server.key}, timeout=60)
    names: list[str] = answer.json()["response"]
    return names


def test_documents_and_datasets_are_retried_and_deleted(opened: Opener) -> None:
    watched = opened("playground#asksage")
    page = watched.page
    dataset_of(page, "short lived")
    dropped(page, {"empty.txt": " ", "program.exe": "MZ"})
    documents = page.get_by_role("list", name="Documents of short lived")
    expect(documents.get_by_text("Failed", exact=True)).to_be_visible(timeout=SLOW)
    # What is refused stays where it happened, with the server's words, until it is taken back.
    uploads = page.get_by_role("list", name="Uploads")
    expect(uploads.get_by_role("alert")).to_contain_text("Files of the kind of `program.exe` are not read.")
    page.get_by_role("button", name="Don't send program.exe").click()
    expect(uploads).to_have_count(0)
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as patched:
        page.get_by_role("button", name="Try empty.txt again").click()
    assert (patched.value.status, patched.value.request.post_data_json) == (200, {"state": "queued"})
    expect(documents.get_by_text("Failed", exact=True)).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Delete empty.txt").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No documents yet")).to_be_visible()
    page.get_by_role("button", name="Delete dataset").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("heading", name="short lived")).to_have_count(0)
    assert [status for status, _ in watched.refused] == [400]
    watched.clean()


def test_a_hostile_answer_stays_text_and_its_marks_lead_to_references(opened: Opener) -> None:
    watched = opened("playground#asksage")
    page = watched.page
    cited = {"dataset": "user_custom_1_x_content", "filename": "<b>a</b>.md", "document_id": "doc_0", "place": 0}
    citations = [
        {"number": 1, **cited, "page": 2, "heading": "<i>H</i>", "context": "", "start": 0, "end": 4, "text": "Text"},
        {"number": 2, "title": "<u>T</u>", "link": "javascript:alert(3)", "text": "<script>x</script>"},
        {"number": 3, "title": "Good", "link": "https://example.org/", "text": "Fine."},
    ]
    said = "At **nine** [1], <img src=x onerror=alert(1)> [2] and [3], not [4]; `[1]` is code. [l](javascript:alert(2))"
    asked = answering(watched, {"type": "partial", "status": 200, "message": "At"}, whole(said, citations))
    ask(page, "<b>When?</b>")
    answer = page.get_by_role("article", name="Question: <b>When?</b>")
    expect(answer.get_by_role("region", name="References")).to_be_visible()
    assert asked[0]["message"] == "<b>When?</b>"
    prose = answer.locator(".prose")
    expect(prose.get_by_role("button", name="Reference 1: <b>a</b>.md")).to_have_count(1)
    expect(prose.locator("a.sage-mark")).to_have_count(2)
    expect(prose.get_by_role("link", name="Reference 3: Good")).to_have_attribute("href", "https://example.org/")
    expect(prose.locator("strong")).to_have_text("nine")
    expect(prose).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator('[href^="javascript"]').count() == 0
    assert answer.locator("img, script, b >> text=a, i, u").count() == 0
    # The document is not there (any more): the passage is shown as the answer had it.
    prose.get_by_role("button", name="Reference 1: <b>a</b>.md").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("There is no document `doc_0`.")
    expect(dialog.locator("mark")).to_have_text("Text")
    assert watched.axe() == []
    watched.clean()


def test_refusals_with_http_status_200_are_errors_and_nothing_typed_is_lost(opened: Opener) -> None:
    watched = opened("playground#asksage")
    page = watched.page
    refusal = {"response": "Your account has no credits left.", "status": 402, "error": "insufficient_credits"}
    answering(watched, refusal, **{"x-request-id": "req_of_test"})
    ask(page, "When does work begin?")
    alert = page.get_by_role("article").get_by_role("alert")
    expect(alert).to_contain_text("Your account has no credits left.")
    expect(alert).to_contain_text("req_of_test")
    down = {"live_unavailable": "Live search is not set up.", "vectors_down": True}
    answering(watched, whole("At nine.", **down))
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("At nine.")).to_be_visible()
    expect(page.get_by_text("Live search: Live search is not set up.")).to_be_visible()
    expect(page.get_by_text("Search in the datasets does not work right now")).to_be_visible()
    assert page.get_by_role("article").count() == 1
    answering(watched, {"response": "Token is invalid [2]", "status": 400, "error": "invalid_api_key"})
    ask(page, "And when does it end?")
    dialog = page.get_by_role("dialog", name="Your API key")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("And when does it end?")).to_be_visible()
    expect(page.get_by_text("At nine.")).to_be_visible()
    watched.clean()


def test_references_are_marked_also_where_the_answer_is_there_first(opened: Opener) -> None:
    """What reads Markdown is fetched with the first answer, and may come after it."""
    watched = opened("playground#asksage")
    page = watched.page
    source = {"number": 1, "dataset": None, "title": "A page", "link": "http://a.example/", "text": "It says so."}
    answering(watched, whole("It is **so** [1].", [source]))
    prose = Held(page, "**/js/components/prose.js")
    ask(page, "Is it?")
    expect(page.get_by_role("region", name="References")).to_contain_text("A page")
    expect(page.locator(".prose")).to_have_text("It is **so** [1].")
    prose.release()
    expect(page.get_by_role("link", name="Reference 1: A page")).to_have_attribute("href", "http://a.example/")
    expect(page.locator(".prose strong")).to_have_text("so")
    watched.clean()


def test_another_accounts_documents_are_not_there(opened: Opener, server: LiveServer) -> None:
    own = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=own, timeout=60) as http:
        made = http.post("/v1/datasets", json={"name": "for my eyes"}).json()
        added = http.post(f"/v1/datasets/{made['id']}/documents", files={"file": ("secret.txt", b"The code is 4711.")})
        document = added.json()
        while http.get(f"/v1/documents/{document['id']}").json()["state"] != "ready":
            pass
    server.command("accounts", "create", "stranger", "--unmetered")
    key = server.command("keys", "create", "--account", "stranger")
    watched = opened("playground#asksage", key=key)
    page = watched.page
    page.get_by_role("tab", name="Datasets").click()
    expect(page.get_by_text("No datasets yet")).to_be_visible()
    # An answer that names the document all the same, as somebody may forge it, opens nothing.
    cited = {"dataset": made["full_name"], "filename": "secret.txt", "document_id": document["id"], "place": 0}
    forged = {"number": 1, **cited, "page": None, "heading": "", "context": "", "start": 0, "end": 1, "text": "?"}
    page.get_by_role("tab", name="Ask", exact=True).click()
    answering(watched, whole("It is [1].", [forged]))
    ask(page, "What is the code?")
    page.get_by_role("button", name="Reference 1: secret.txt").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("There is no document")
    assert "4711" not in page.content()
    assert watched.refused == [(404, f"/v1/documents/{document['id']}/passages?around=0&limit=21")]
    watched.clean()
