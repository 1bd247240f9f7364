"""The playground's tab Images on the starter model: what is drawn, edited and kept, down to the pixels."""

import base64
import json
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from openai import OpenAI
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.live import LiveServer, until
from tests.e2e.pages.conftest import Opener

STARTER = "starter-image"
PREVIEWS = """
window.previews = new Set();
new MutationObserver(() => {
  for (const one of document.querySelectorAll("img[alt^='Preview ']")) window.previews.add(one.alt);
}).observe(document, {subtree: true, childList: true, attributes: true});
"""
"""Keeps the names of the previews that were shown: each is soon replaced by the next."""


WATCH = """() => {
  const own = window.fetch;
  window.fetch = (url, options) => {
    if (options?.body instanceof FormData) window.sent = options.body;
    return own(url, options);
  };
}"""
READ = """async () => {
  const read = {};
  for (const [name, value] of window.sent) {
    if (value instanceof Blob) {
      const bytes = new Uint8Array(await value.arrayBuffer());
      read[name] = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    }
  }
  return read;
}"""
"""The form that the page sends: the browser tells its watchers nothing of what files in it hold."""


def draw(page: Page, prompt: str, *, seed: int = 1, n: int = 1, quality: str = "auto") -> None:
    """Fill in the form for pictures of 128 x 128 and press its button, then wait for what comes of it."""
    page.get_by_label("Model").select_option(STARTER)
    page.get_by_label("Size").select_option("128x128")
    page.get_by_label("Pictures").select_option(str(n))
    page.get_by_label("Quality").select_option(quality)
    page.get_by_label("Seed").fill(str(seed))
    page.get_by_label("Prompt").fill(prompt)
    with page.expect_response("**/v1/images/*"):  # what is said of the picture before is over then
        page.get_by_role("button", name=re.compile("^(Draw|Redraw)$")).click()
    expect(page.get_by_role("status").filter(has_text="ready")).to_have_text(
        "The picture is ready." if n == 1 else f"All {n} pictures are ready."
    )


def result(page: Page) -> Locator:
    return page.get_by_role("region", name="Result")


def downloaded(page: Page, button: Locator) -> bytes:
    with page.expect_download() as download:
        button.click()
    return Path(download.value.path()).read_bytes()


def pixels(data: bytes) -> NDArray[np.int16]:
    image = Image.open(BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image.convert("RGB"), np.int16)


def files_sent(page: Page) -> dict[str, bytes]:
    """The files of the latest form, by field."""
    read = page.evaluate(READ)
    return {name: base64.b64decode(data) for name, data in read.items()}


def test_a_picture_is_drawn_with_previews_and_stays_in_the_gallery(opened: Opener, sdk: OpenAI) -> None:
    watched = opened("playground#images")
    page = watched.page
    page.evaluate(PREVIEWS)
    draw(page, "red heart", n=2, quality="high")
    named = [f"Preview {number}: red heart" for number in (1, 2)]
    shown = page.evaluate("() => [...window.previews]")
    assert shown  # one that comes with the next, or while the page is busy, is never in it
    assert set(shown) <= set(named)
    first = downloaded(page, result(page).get_by_role("button", name="Download: red heart").first)
    assert pixels(first).shape == (128, 128, 3)
    answer = sdk.images.generate(
        model=STARTER,
        prompt="red heart",
        n=2,
        size="128x128",
        quality="high",
        response_format="b64_json",
        extra_body={"seed": 1},
    )
    assert answer.data is not None
    assert answer.data[0].b64_json is not None
    drawn = pixels(first)
    by_sdk = pixels(base64.b64decode(answer.data[0].b64_json))
    assert np.array_equal(drawn, by_sdk), "the page shows what the API draws for the same seed"
    page.reload()
    cards = page.get_by_role("region", name="Gallery").get_by_role("listitem")
    expect(cards).to_have_count(2)
    expect(cards.first).to_contain_text("128 × 128, seed 1")
    kept = downloaded(page, cards.first.get_by_role("button", name="Download: red heart"))
    assert kept == first
    # Its settings come back, the seed too.
    page.get_by_label("Seed").fill("")
    cards.nth(1).get_by_role("button", name="Use its settings: red heart").click()
    expect(page.get_by_label("Seed")).to_have_value("2")
    cards.first.get_by_role("button", name="Delete: red heart").click()
    page.get_by_role("button", name="Delete the picture").click()
    expect(cards).to_have_count(1)
    page.reload()
    expect(cards).to_have_count(1)
    assert watched.axe() == []
    watched.clean()


def test_an_edit_changes_what_is_marked_by_keys_alone(opened: Opener) -> None:
    watched = opened("playground#images")
    page = watched.page
    draw(page, "red heart")
    before = pixels(downloaded(page, result(page).get_by_role("button", name="Download: red heart")))
    page.get_by_role("button", name="Edit: red heart").focus()
    page.keyboard.press("Enter")
    fold = page.get_by_text("A rectangle by numbers")
    expect(fold).to_be_visible()
    fold.focus()
    page.keyboard.press("Enter")
    for label, number in (("From the left", 64), ("From the top", 0), ("Width", 500), ("Height", 128)):
        page.get_by_label(label).fill(str(number))
    page.keyboard.press("Enter")  # marks it, and does not draw
    expect(page.get_by_text("The coloured part is redrawn")).to_be_visible()
    assert watched.axe() == []
    watched.shot("images-mask")
    page.evaluate(WATCH)
    draw(page, "blue heart", seed=2, quality="high")
    sent = files_sent(page)
    mask = Image.open(BytesIO(sent["mask"]))
    assert (mask.format, mask.mode, mask.size) == ("PNG", "RGBA", (128, 128))
    alpha = np.asarray(mask)[:, :, 3]
    assert (alpha[:, :64] == 255).all()
    assert (alpha[:, 64:] == 0).all()
    assert np.array_equal(pixels(sent["image"]), before)
    after = pixels(downloaded(page, result(page).get_by_role("button", name="Download: blue heart")))
    assert np.array_equal(after[:, :64], before[:, :64]), "beside the mask nothing changes"
    assert abs(after[:, 64:] - before[:, 64:]).mean() > 10, "within it the picture is redrawn"
    watched.clean()


def test_a_brush_marks_where_the_pointer_was_and_can_be_taken_back(opened: Opener) -> None:
    watched = opened("playground#images")
    page = watched.page
    page.get_by_role("tab", name="Edit").click()
    picture = BytesIO()
    Image.new("RGB", (200, 100), "white").save(picture, "PNG")
    page.get_by_label(re.compile("Choose a picture")).set_input_files(
        {"name": "<img src=x onerror=alert(1)>.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    )
    expect(page.get_by_text("<img src=x onerror=alert(1)>.png")).to_be_visible()
    canvas = page.get_by_role("img", name="What is marked to be redrawn")
    box = canvas.bounding_box()
    assert box is not None

    def stroke(across: float) -> None:
        """From top to bottom, so many hundredths from the left."""
        x = box["x"] + box["width"] * across / 100
        page.mouse.move(x, box["y"] + 2)
        page.mouse.down()
        page.mouse.move(x, box["y"] + box["height"] - 2, steps=3)
        page.mouse.up()

    def marked() -> NDArray[np.bool_]:
        """The columns of the mask in which anything is marked."""
        data = downloaded(page, page.get_by_role("button", name="mask.png"))
        found: NDArray[np.bool_] = (np.asarray(Image.open(BytesIO(data)))[:, :, 3] == 0).any(axis=0)
        return found

    stroke(25)
    stroke(75)
    both = marked()
    assert both[50]
    assert both[150]
    assert not both[100]
    page.get_by_role("button", name="Undo").click()
    assert marked()[50]
    assert not marked()[150]
    page.get_by_role("button", name="Redo").click()
    page.get_by_role("button", name="Erase", exact=True).click()
    stroke(25)
    erased = marked()
    assert not erased[50]
    assert erased[150]
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("Nothing is marked")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    assert marked()[150]
    watched.clean()


def test_a_file_that_is_no_picture_is_refused_in_words(opened: Opener) -> None:
    watched = opened("playground#images")
    page = watched.page
    page.get_by_role("tab", name="Vary").click()
    field = page.get_by_label(re.compile("Choose a picture"))
    field.set_input_files({"name": "note.svg", "mimeType": "image/svg+xml", "buffer": b"<svg onload='alert(1)'/>"})
    expect(page.get_by_role("alert")).to_contain_text("note.svg is not a PNG, JPEG, WebP or GIF picture.")
    field.set_input_files({"name": "torn.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n torn"})
    expect(page.get_by_role("alert")).to_contain_text("torn.png can't be read as a picture.")
    watched.clean()


def test_stop_ends_the_work_and_keeps_what_was_drawn(opened: Opener, server: LiveServer) -> None:
    watched = opened("playground#images")
    page = watched.page
    page.get_by_label("Model").select_option(STARTER)
    page.get_by_label("Pictures").select_option("4")
    page.get_by_label("Quality").select_option("high")
    page.get_by_text("More settings").click()
    page.get_by_label("Steps").fill("100")
    page.get_by_label("Prompt").fill("red heart")
    page.get_by_label("Prompt").press("Control+Enter")
    expect(result(page)).to_contain_text("Preview 1 of 2", timeout=20_000)
    page.get_by_role("button", name="Stop").click()
    expect(result(page)).to_contain_text("You stopped it after")
    expect(result(page)).to_contain_text("Unfinished")
    expect(page.get_by_role("button", name="Draw", exact=True)).to_be_enabled()
    until(lambda: server.running(STARTER) == 0, "the model stops, too", within=20)
    watched.clean()


def test_credits_stand_beside_the_pictures_and_a_402_in_their_place(opened: Opener, server: LiveServer) -> None:
    server.command("accounts", "create", "painter", "--credits", "0.05")
    key = server.command("keys", "create", "--account", "painter")
    watched = opened("playground#images", key=key)
    page = watched.page
    draw(page, "red heart", quality="low")
    # 128 x 128 is four times the model's own size, and low is two steps: 4 x 0.01 + 2 x 0.0005.
    expect(result(page)).to_contain_text("0.04")
    page.get_by_role("button", name="Draw", exact=True).click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("credits")
    expect(alert).to_contain_text("Request: req_")
    expect(page.get_by_label("Prompt")).to_have_value("red heart")
    assert watched.refused == [(402, "/v1/images/generations")]
    watched.clean()


@pytest.mark.parametrize(("after", "shown"), [("", "The answer broke off."), ("error", "The model <b>died</b>.")])
def test_an_answer_that_breaks_keeps_the_pictures_it_brought(opened: Opener, after: str, shown: str) -> None:
    watched = opened("playground#images")
    page = watched.page
    data = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(data, "PNG")
    encoded = base64.b64encode(data.getvalue()).decode()
    event = {"type": "image_generation.completed", "b64_json": encoded, "index": 0, "seed": 1, "size": "64x64"}
    body = f"data: {json.dumps({**event, 'output_format': 'png', 'usage': {}})}\n\n"
    body += f"data: {json.dumps({'error': {'message': shown}})}\n\n" if after else "data: {torn\n\n"

    def answer(route: Route) -> None:
        route.fulfill(status=200, content_type="text/event-stream", headers={"x-request-id": "req_1"}, body=body)

    page.route("**/v1/images/generations", answer)
    page.get_by_label("Pictures").select_option("2")
    page.get_by_label("Prompt").fill("teal")
    page.get_by_role("button", name="Draw", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(shown)
    expect(page.get_by_role("alert")).to_contain_text("req_1")
    expect(result(page).get_by_role("button", name="Download: teal")).to_have_count(1)
    watched.clean()


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_code_of_an_edit_runs_as_it_stands(
    opened: Opener, server: LiveServer, tmp_path: Path, language: str
) -> None:
    watched = opened("playground#images")
    page = watched.page
    draw(page, "red heart")
    page.get_by_role("button", name="Edit: red heart").click()
    page.get_by_text("A rectangle by numbers").click()
    page.get_by_role("button", name="Mark the rectangle").click()
    page.get_by_label("Prompt").fill("blue heart, it's $HOME `x`")
    for name in ("picture.png", "mask.png"):
        (tmp_path / name).write_bytes(downloaded(page, page.get_by_role("button", name=name)))
    page.get_by_role("tab", name="Code").click()
    page.get_by_role("tab", name=language).click()
    code = page.locator(".code-block code").inner_text()
    assert server.key not in code
    command = ["bash", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "OPENAI_API_KEY": server.key},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    if language == "curl":
        assert "event: image_edit.completed" in ran.stdout
    else:
        assert pixels((tmp_path / "image.png").read_bytes()).shape == (128, 128, 3)
    watched.clean()


def test_a_key_that_ends_in_the_middle_loses_nothing_that_was_typed(opened: Opener) -> None:
    watched = opened("playground#images")
    page = watched.page
    refusal = {
        "error": {"message": "This key has expired.", "type": "authentication_error", "param": None, "code": None}
    }
    page.route("**/v1/images/generations", lambda route: route.fulfill(status=401, json=refusal))
    page.get_by_label("Prompt").fill("red heart")
    page.get_by_label("Seed").fill("7")
    page.get_by_role("button", name="Draw", exact=True).click()
    dialog = page.get_by_role("dialog", name="Your API key")
    expect(dialog).to_contain_text("This key has expired.")
    dialog.get_by_label("Key").fill(opened.live.key)
    dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_label("Prompt")).to_have_value("red heart")
    expect(page.get_by_label("Seed")).to_have_value("7")
    page.unroute("**/v1/images/generations")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("status").filter(has_text="ready")).to_have_text("The picture is ready.")
    watched.clean()
