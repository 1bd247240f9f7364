"""The playground's tab Speech, in a real browser over the real voice."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from openai import OpenAI
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import FOX, STORY
from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener
from tests.e2e.test_python_audio import WORDS, named, words


def write(page: Page, text: str, form: str) -> None:
    page.get_by_label("Format").select_option(form)
    page.get_by_role("textbox", name="Text").fill(text)


def finished(page: Page) -> None:
    expect(page.get_by_role("status").get_by_text("All of it is spoken.")).to_be_attached(timeout=60_000)


def saved(page: Page, form: str) -> bytes:
    with page.expect_download() as began:
        page.get_by_role("button", name=f"Download {form}").click()
    assert began.value.suggested_filename == f"speech.{form}"
    return Path(began.value.path()).read_bytes()


@pytest.mark.parametrize("form", ["mp3", "wav"])
def test_it_sounds_while_it_is_still_being_spoken(opened: Opener, sdk: OpenAI, form: str) -> None:
    watched = opened("playground#speech")
    page = watched.page
    write(page, f"{FOX} {STORY * 3}", form)
    page.get_by_role("button", name="Speak").click()
    # Its position moves before the last of it has come.
    page.wait_for_function("""() => {
      const place = document.querySelector(".say-transport[data-playing=true][data-complete=false]");
      const position = place?.querySelector("input");
      return position && position.valueAsNumber > 0.2 && Number(position.max) > 4;  // all of the fox has come
    }""")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.locator(".say-transport")).to_have_attribute("data-playing", "false")
    # What came until then is a file.
    heard = sdk.audio.transcriptions.create(model="whisper-1", file=named(saved(page, form)))
    assert words(heard.text)[: len(WORDS)] == WORDS
    watched.clean()


@pytest.mark.parametrize("form", ["mp3", "flac", "pcm"])
def test_what_is_downloaded_says_the_text_and_can_be_heard_again(opened: Opener, sdk: OpenAI, form: str) -> None:
    watched = opened("playground#speech")
    page = watched.page
    write(page, FOX, form)
    page.get_by_role("textbox", name="Text").press("Control+Enter")
    finished(page)
    sound = saved(page, form)
    if form == "pcm":
        assert len(sound) % 2 == 0
        assert 2 < len(sound) / 48_000 < 5
    else:
        assert words(sdk.audio.transcriptions.create(model="whisper-1", file=named(sound)).text) == WORDS
    transport = page.locator(".say-transport")
    play = page.get_by_role("button", name="Play")
    slider = page.get_by_role("slider", name="Position")
    length = float(slider.get_attribute("max") or 0)
    assert 2 < length < 5
    # It ends by itself; then it begins anew, rests, and ends again from where it is put.
    expect(transport).to_have_attribute("data-playing", "false", timeout=15_000)
    play.click()
    page.wait_for_function("() => document.querySelector('.say-transport input').valueAsNumber < 1")
    page.get_by_role("button", name="Pause").click()
    expect(transport).to_have_attribute("data-playing", "false")
    slider.fill(f"{length - 0.3:.2f}")
    play.click()
    expect(slider).to_have_attribute("aria-valuetext", f"0:0{int(length)} of 0:0{int(length)}")
    expect(transport).to_have_attribute("data-playing", "false")
    assert watched.axe() == []
    watched.clean()


def test_the_voices_are_those_of_the_model(opened: Opener) -> None:
    watched = opened("playground#speech")
    page = watched.page
    voices = page.get_by_label("Voice")
    expect(voices.get_by_role("option", name="alloy (spoken by joe)")).to_be_attached()
    voices.select_option("alloy")
    page.get_by_role("textbox", name="Text").fill(FOX)
    with page.expect_request("**/v1/audio/speech") as sent:
        page.get_by_role("button", name="Speak").click()
    body = sent.value.post_data_json
    assert (body["voice"], body["input"], body["stream_format"]) == ("alloy", FOX, "sse")
    finished(page)
    watched.clean()


def test_too_long_a_text_is_refused_at_its_field_and_kept(opened: Opener) -> None:
    watched = opened("playground#speech")
    page = watched.page
    write(page, "é" * 4097, "mp3")
    expect(page.get_by_text("4,097 characters")).to_be_visible()
    page.get_by_role("button", name="Speak").click()
    field = page.get_by_role("textbox", name="Text")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator(".say-text .field-error")).to_contain_text("4096")
    expect(field).to_have_value("é" * 4097)
    assert watched.refused == [(400, "/v1/audio/speech")]
    watched.clean()


def test_the_code_of_speech_runs(opened: Opener, server: LiveServer, sdk: OpenAI, tmp_path: Path) -> None:
    watched = opened("playground#speech")
    page = watched.page
    write(page, FOX.replace("lazy", "lazy 'old'"), "mp3")
    page.get_by_role("tab", name="Code").click()
    for language, command in (("curl", ["bash", "-c"]), ("Python", [sys.executable, "-c"])):
        page.get_by_role("tab", name=language).click()
        code = page.locator(".code-block code").inner_text()
        assert server.key not in code
        environment = os.environ | {"OPENAI_API_KEY": server.key}
        said = subprocess.run(
            [*command, code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert said.returncode == 0, said.stderr
        sound = tmp_path / "speech.mp3"
        heard = words(sdk.audio.transcriptions.create(model="whisper-1", file=named(sound.read_bytes())).text)
        assert heard[:5] == WORDS[:5]
        sound.unlink()
    watched.clean()


@pytest.mark.parametrize("form", ["flac", "mp3"])
def test_what_broke_off_says_why_and_what_is_no_sound_is_said_to_be_none(opened: Opener, form: str) -> None:
    watched = opened("playground#speech")
    page = watched.page
    events = [
        {"type": "speech.audio.delta", "audio": base64.b64encode(b"no sound at all").decode()},
        {"error": {"message": "The model has stopped.", "type": "server_error", "code": "engine_failed"}},
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    headers = {"content-type": "text/event-stream", "x-request-id": "req_of_the_test"}
    page.route("**/v1/audio/speech", lambda route: route.fulfill(headers=headers, body=body))
    write(page, FOX, form)
    page.get_by_role("button", name="Speak").click()
    expect(page.get_by_role("alert")).to_contain_text("The model has stopped.")
    expect(page.get_by_role("alert")).to_contain_text("req_of_the_test")
    expect(page.get_by_text("This browser can't play what came.")).to_be_visible()
    expect(page.locator(".say-transport")).to_have_count(0)
    assert saved(page, form) == b"no sound at all"
    page.unroute("**/v1/audio/speech")
    page.get_by_role("button", name="Speak again").click()
    finished(page)
    expect(page.get_by_role("alert")).to_have_count(0)
    watched.clean()


def test_a_model_that_is_loading_is_said_to_be(opened: Opener) -> None:
    watched = opened("playground#speech")
    page = watched.page
    write(page, FOX, "mp3")

    def loading(route: Route) -> None:
        found = route.fetch().json()
        for model in found["data"]:
            for own in model["models"].values():
                own["state"] = "loading"
        route.fulfill(json=found)

    page.route("**/v1/models", loading)
    held: list[Route] = []
    # Playwright takes no bound method of a builtin.
    page.route("**/v1/audio/speech", lambda route: held.append(route))
    page.get_by_role("button", name="Speak").click()
    expect(page.locator(".work").get_by_role("status").get_by_text("Loading")).to_be_visible()
    held[0].continue_()
    finished(page)
    expect(page.locator(".work").get_by_text("Loading")).to_have_count(0)
    watched.clean()
