"""The playground's tab Embeddings: the numbers of its matrix are those of the API's vectors."""

import json
import os
import re
import subprocess
import sys

import numpy as np
from openai import OpenAI
from playwright.sync_api import Locator, Page, expect

from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener

MODEL = "all-minilm-l6-v2"
TEXTS = ["A cat sleeps.", "A kitten <b>naps</b>.", '<img src=x onerror="alert(1)">', "Shares fell."]


def rows(page: Page) -> Locator:
    return page.get_by_role("textbox", name=re.compile(r"^Text \d+$"))


def write(page: Page, texts: list[str]) -> None:
    """Replace the examples, by keys alone."""
    while rows(page).count() > 1:
        rows(page).first.fill("")
        rows(page).first.press("Backspace")
    rows(page).first.fill(texts[0])
    for text in texts[1:]:
        count = rows(page).count()
        page.keyboard.press("Enter")
        expect(rows(page)).to_have_count(count + 1)
        expect(rows(page).nth(count)).to_be_focused()
        page.keyboard.insert_text(text)


def test_the_matrix_has_the_cosines_of_the_apis_vectors(opened: Opener, sdk: OpenAI) -> None:
    watched = opened("playground#embeddings", permissions=["clipboard-read", "clipboard-write"])
    page = watched.page
    page.get_by_label("Model").select_option(MODEL)
    rows(page).first.focus()
    write(page, TEXTS)
    page.keyboard.press("Control+Enter")
    table = page.get_by_role("region", name="Similarity matrix")
    expect(table).to_be_visible()
    shown = [
        [float(cell) for cell in row.get_by_role("cell").all_inner_texts()] for row in table.locator("tbody tr").all()
    ]
    vectors = np.array([one.embedding for one in sdk.embeddings.create(model=MODEL, input=TEXTS).data])
    lengths = np.linalg.norm(vectors, axis=1)
    expected = vectors @ vectors.T / np.outer(lengths, lengths)
    assert np.abs(np.array(shown) - expected).max() < 0.0051
    # The one beside the diagonal that is highest is what a screen reader hears of.
    np.fill_diagonal(expected, -1)
    one, other = sorted(int(at) + 1 for at in np.unravel_index(expected.argmax(), expected.shape))
    expect(page.get_by_role("status").filter(has_text="compared")).to_contain_text(f"{one} and {other}")
    page.get_by_role("button", name="Copy the vectors as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("() => navigator.clipboard.readText()"))
    assert [item["text"] for item in copied] == TEXTS
    assert np.allclose([item["embedding"] for item in copied], vectors, atol=1e-6)
    assert watched.axe() == []
    watched.clean()


def test_lines_pasted_into_an_empty_row_become_texts_up_to_the_most(opened: Opener) -> None:
    watched = opened("playground#embeddings", permissions=["clipboard-read", "clipboard-write"])
    page = watched.page
    page.get_by_role("button", name="Add text").click()
    expect(rows(page).nth(4)).to_be_focused()
    page.evaluate("() => navigator.clipboard.writeText(Array.from({length: 70}, (_, at) => `line ${at}`).join('\\n'))")
    page.keyboard.press("Control+v")
    expect(rows(page)).to_have_count(64)
    expect(rows(page).nth(4)).to_have_value("line 0")
    expect(page.get_by_text("10 lines left out")).to_be_visible()
    expect(page.get_by_role("button", name="Add text")).to_be_disabled()
    # They outlive the page.
    page.reload()
    expect(rows(page)).to_have_count(64)
    watched.clean()


def test_a_refusal_names_the_field_and_nothing_typed_is_lost(opened: Opener) -> None:
    watched = opened("playground#embeddings")
    page = watched.page
    page.get_by_label("Model").select_option(MODEL)
    page.get_by_label("Dimensions").fill("100000")
    page.get_by_role("button", name="Compare").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Field: dimensions")
    expect(alert).to_contain_text("Request: req_")
    expect(rows(page)).to_have_count(4)
    assert watched.refused == [(400, "/v1/embeddings")]
    page.get_by_label("Dimensions").fill("")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("region", name="Similarity matrix")).to_be_visible()
    expect(alert).to_have_count(0)
    watched.clean()


def test_the_code_runs_as_it_stands(opened: Opener, server: LiveServer) -> None:
    watched = opened("playground#embeddings")
    page = watched.page
    page.get_by_label("Model").select_option(MODEL)
    page.get_by_role("tab", name="Code").click()
    page.get_by_role("tab", name="Python").click()
    code = page.locator(".code-block code").inner_text()
    environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": server.key}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert [line.split()[:2] for line in ran.stdout.splitlines()] == [[str(at), "384"] for at in range(4)]
    watched.clean()
