"""Files in the console, over the real server: added, found, downloaded, deleted; names are text."""

import httpx
from playwright.sync_api import expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener

NAME = "<img src=x onerror='alert(1)'> ä.txt"


def test_a_file_is_added_downloaded_and_deleted(opened: Opener, server: LiveServer) -> None:
    server.command("accounts", "create", "filer", "--unmetered")
    key = server.command("keys", "create", "--account", "filer")
    watched = opened("console#files", key=key)
    page = watched.page
    expect(page.get_by_text("No files yet")).to_be_visible()
    page.get_by_label("Kept").select_option("1 day")
    page.get_by_label("Drop files here").set_input_files(
        {"name": NAME, "mimeType": "text/plain", "buffer": b"an otter"}
    )
    row = page.get_by_role("row").filter(has_text=NAME)
    expect(row).to_contain_text("8 bytes")
    expect(row).to_contain_text("expires 2")
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        (stored,) = http.get("/v1/files").json()["data"]
        assert (stored["filename"], stored["purpose"]) == (NAME, "user_data")
        assert stored["expires_at"] - stored["created_at"] == 86_400
        page.get_by_label("Search what is shown").fill("OTTER")
        expect(page.get_by_text("No file matches")).to_be_visible()
        page.get_by_label("Search what is shown").fill(stored["id"])
        assert watched.axe() == []
        with page.expect_download() as download:
            row.get_by_role("button", name="Download").click()
        assert download.value.path().read_bytes() == b"an otter"
        row.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog", name="Delete this file?").get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("No files yet")).to_be_visible()
        assert http.get("/v1/files").json()["data"] == []
    # A file that can't be taken: the server's words, and nothing is stored.
    page.get_by_label("Drop files here").set_input_files({"name": "empty.txt", "mimeType": "", "buffer": b""})
    expect(page.get_by_text("The file is empty.")).to_be_visible()
    assert [status for status, _ in watched.refused] == [400]
    watched.clean()
