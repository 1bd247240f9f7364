"""Datasets and personas in the console: looked into, retried, deleted; a persona's life; markup stays text."""

import httpx
from playwright.sync_api import expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener

SLOW = 120_000
"""Milliseconds for the starter models' work on a machine that has other things to do."""


def test_everybodys_datasets_are_seen_searched_and_deleted(opened: Opener, server: LiveServer, operator: str) -> None:
    server.command("accounts", "create", "<b>owner</b>", "--unmetered")
    key = server.command("keys", "create", "--account", "<b>owner</b>")
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        made = http.post("/v1/datasets", json={"name": "<i>papers</i>"}).json()
        path = f"/v1/datasets/{made['id']}/documents"
        for name, text in (("<img src=x>.md", "# H\n\nThe <u>otter</u> sleeps."), ("empty.txt", " ")):
            assert http.post(path, files={"file": (name, text.encode())}).status_code == 200
    watched = opened("console#datasets", key=operator)
    page = watched.page
    page.get_by_label("Find by name or account").fill("OWNER papers")
    row = page.get_by_role("row").filter(has_text="<i>papers</i>")
    expect(row).to_contain_text("<b>owner</b>")
    expect(row).to_contain_text("1 failed", timeout=SLOW)
    row.get_by_role("button").click()
    expect(page.get_by_role("heading", name="<i>papers</i>")).to_be_visible()
    table = page.get_by_role("region", name="Documents").get_by_role("table")
    expect(table.get_by_text("There is no text in the file.")).to_be_visible(timeout=SLOW)
    expect(table.get_by_text("Ready", exact=True)).to_be_visible(timeout=SLOW)
    page.get_by_label("Search in this dataset").fill("otter")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("The <u>otter</u> sleeps.")).to_be_visible()
    assert page.locator("main img, main u, main i, .card b >> text=owner").count() == 0
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as patched:
        page.get_by_role("button", name="Try the failed ones again").click()
    assert (patched.value.status, patched.value.request.post_data_json) == (200, {"state": "queued"})
    expect(table.get_by_text("Failed", exact=True)).to_be_visible(timeout=SLOW)
    page.get_by_label("Which documents").select_option("failed")
    expect(table.get_by_text("<img src=x>.md")).to_have_count(0)
    assert watched.axe() == []
    page.get_by_role("button", name="Delete dataset").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_label("Find by name or account")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="<i>papers</i>")).to_have_count(0)
    headers = {"Authorization": f"Bearer {operator}"}
    acts = httpx.get(f"{server.url}/admin/v1/audit", headers=headers, timeout=60).json()["data"]
    mine = [act["action"] for act in acts if made["id"] in (act["target"], act["details"].get("dataset"))]
    assert mine == ["dataset.delete", "document.retry", "dataset.search"]
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        assert http.get("/v1/datasets").json()["data"] == []
    assert watched.refused == []
    watched.clean()


def test_a_persona_is_made_chosen_changed_and_given_back(opened: Opener, operator: str) -> None:
    watched = opened("console#personas", key=operator)
    page = watched.page
    page.get_by_role("button", name="New persona").click()
    page.get_by_label("Name").fill("<b>Clerk</b>")
    page.get_by_label("Description").fill("Short answers.")
    page.get_by_label("System prompt").fill("You are a **clerk**. <script>alert(1)</script>")
    page.get_by_role("tab", name="Preview").click()
    preview = page.get_by_role("region", name="Preview of the prompt")
    expect(preview.locator("strong")).to_have_text("clerk")
    expect(preview).to_contain_text("<script>alert(1)</script>")
    assert watched.axe() == []
    page.get_by_role("button", name="Make persona").click()
    row = page.get_by_role("row").filter(has_text="<b>Clerk</b>")
    expect(row).to_contain_text("made or changed here")

    # A name that is taken is said at its field.
    page.get_by_role("button", name="New persona").click()
    page.get_by_label("Name").fill("writer")
    page.get_by_role("button", name="Make persona").click()
    expect(page.get_by_text("has this name already")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    page.keyboard.press("Escape")

    playground = opened("playground#asksage")
    playground.page.get_by_label("Persona").select_option(label="<b>Clerk</b>")
    expect(playground.page.get_by_text("Short answers.")).to_be_visible()
    playground.clean()

    row.get_by_role("button").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete this persona?").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)

    # One that is built in is changed, and given back.
    page.get_by_role("button", name="Teacher").click()
    page.get_by_label("Description").fill("Explains to children.")
    page.get_by_role("button", name="Save").click()
    changed = page.get_by_role("row").filter(has_text="Explains to children.")
    expect(changed).to_contain_text("made or changed here")
    changed.get_by_role("button").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete this persona?").get_by_role("button", name="Delete").click()
    expect(changed).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text="Teacher")).to_contain_text("built in")
    assert [status for status, _ in watched.refused] == [400]
    watched.clean()
