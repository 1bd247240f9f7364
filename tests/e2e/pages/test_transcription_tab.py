"""The playground's tab Transcription, in a real browser over the real transcriber."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from server.api.openai.transcripts import Transcript
from server.core import Segment
from tests.e2e.conftest import FOX
from tests.e2e.live import LiveServer
from tests.e2e.pages.conftest import Opener, Watched
from tests.e2e.test_python_audio import WORDS, words

DROP = """
([name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  const place = document.querySelector(".drop, .hear-chosen");
  for (const kind of ["dragover", "drop"]) {
    place.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
  }
}
"""
HOSTILE = "<img src=x onerror=alert(1)>"


def opened_with(opened: Opener, name: str, sound: bytes, **options: Any) -> Watched:
    watched = opened("playground#transcription", **options)
    watched.page.locator(".drop").wait_for()
    watched.page.evaluate(DROP, [name, base64.b64encode(sound).decode()])
    return watched


def transcribe(page: Page) -> None:
    page.get_by_role("button", name="Transcribe").click()
    page.locator(".stats").get_by_text("Quality").wait_for(timeout=60_000)


def saved(page: Page, ending: str) -> bytes:
    with page.expect_download() as began:
        page.get_by_role("button", name=f"Download {ending}", exact=True).click()
    assert began.value.suggested_filename == f"fox.{ending}"
    return Path(began.value.path()).read_bytes()


def answered(page: Page, events: list[dict[str, Any]]) -> None:
    """Let these be the next transcript's events, whatever the server would say."""
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    headers = {"content-type": "text/event-stream", "x-request-id": "req_of_the_test"}
    page.route("**/v1/audio/transcriptions", lambda route: route.fulfill(headers=headers, body=body))


def test_a_dropped_recording_becomes_words_that_light_as_they_are_said_and_files_as_the_server_makes_them(
    opened: Opener, http: httpx.Client, fox: bytes
) -> None:
    watched = opened_with(opened, "fox.mp3", fox)
    page = watched.page
    expect(page.get_by_text("fox.mp3")).to_be_visible()
    transcribe(page)
    spans = page.locator(".hear-word")
    assert words(" ".join(spans.all_inner_texts())) == WORDS
    assert watched.axe() == []

    whole = json.loads(saved(page, "json"))
    fields = {
        "model": "whisper-1",
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
    }
    same = http.post("/v1/audio/transcriptions", data=fields, files={"file": ("fox.mp3", fox)}).json()
    # The page may have asked another name for the same model, at another price.
    assert (whole | {"usage": None}) == (same | {"usage": None})
    assert whole["usage"]["seconds"] == same["usage"]["seconds"]
    # Of the same segments the server's own code makes the same bytes. Of a request without words the segments end
    # a little elsewhere.
    made = Transcript(segments=[Segment(**{**one, "tokens": tuple(one["tokens"])}) for one in whole["segments"]])
    for ending, text in (("srt", made.srt()), ("vtt", made.vtt()), ("txt", made.plain())):
        assert saved(page, ending).decode() == text

    # Each word lights when the recording comes to it, and no other does.
    for word, own in zip(whole["words"], spans.all(), strict=True):
        page.evaluate("(time) => { document.querySelector('audio').currentTime = time; }", word["start"] + 0.01)
        expect(own).to_have_class("hear-word lit")
        expect(page.locator(".hear-word.lit")).to_have_count(1)
    watched.clean()


def test_words_are_reached_by_keyboard_and_by_click(opened: Opener, fox: bytes) -> None:
    watched = opened_with(opened, "fox.mp3", fox)
    page = watched.page
    transcribe(page)
    page.get_by_role("group", name="Transcript", exact=True).focus()
    lit = page.locator(".hear-word.lit")
    for key, word in (
        ("Home", "The"),
        ("ArrowRight", "quick"),
        ("ArrowRight", "brown"),
        ("ArrowLeft", "quick"),
        ("End", "dog."),
    ):
        page.keyboard.press(key)
        expect(lit).to_have_text(word)
    page.get_by_text("jumps", exact=True).click()
    expect(lit).to_have_text("jumps")
    page.keyboard.press(" ")
    expect(page.locator("audio")).to_have_js_property("paused", False)
    expect(lit).to_have_text("dog.")
    watched.clean()


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_code_of_a_transcription_runs(
    opened: Opener, server: LiveServer, fox: bytes, tmp_path: Path, language: str
) -> None:
    name = "the fox's; 1.mp3"
    watched = opened_with(opened, name, fox)
    page = watched.page
    page.get_by_role("tab", name="Code").click()
    page.get_by_role("tab", name=language).click()
    code = page.locator(".code-block code").inner_text()
    assert server.key not in code
    (tmp_path / name).write_bytes(fox)
    command = ["bash", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    environment = os.environ | {"OPENAI_API_KEY": server.key}
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    if language == "Python":
        assert words(said.stdout) == WORDS
    else:
        deltas = [json.loads(line[6:]) for line in said.stdout.splitlines() if line.startswith("data: ")]
        assert words("".join(one.get("delta", "") for one in deltas)) == WORDS
    watched.clean()


def test_the_microphone_is_recorded_and_sent(opened: Opener) -> None:
    watched = opened("playground#transcription")
    page = watched.page
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("timer")).to_have_text(re.compile("0:0[1-9]"))
    expect(page.locator(".hear-levels rect").nth(8)).to_be_attached()
    assert watched.axe() == []
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".drop")).to_be_visible()
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("timer")).to_have_text(re.compile("0:0[1-9]"))
    page.get_by_role("button", name="Stop and keep").click()
    expect(page.get_by_text("recording.webm")).to_be_visible()
    # It does not say by itself how long it is.
    expect(page.locator(".hear-name .hint")).to_have_text(re.compile(r"· [1-9](\.\d)? s"))
    with page.expect_request("**/v1/audio/transcriptions") as sent:
        page.get_by_role("button", name="Transcribe").click()
    assert sent.value.headers["content-type"].startswith("multipart/form-data")
    expect(page.get_by_role("status").get_by_text("The transcript is ready.")).to_be_attached(timeout=60_000)
    watched.clean()


def test_a_microphone_that_is_allowed_after_its_tab_was_left_records_nothing(opened: Opener) -> None:
    watched = opened("playground#transcription")
    page = watched.page
    page.evaluate(
        """() => {
          const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (wanted) => {
            await new Promise((resolve) => { window.allow = resolve; });
            window.heard = await ask(wanted);
            return window.heard;
          };
        }"""
    )
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("tab", name="Speech").click()
    page.evaluate("() => window.allow()")
    page.wait_for_function("() => window.heard?.getTracks().every((track) => track.readyState === 'ended')")
    page.get_by_role("tab", name="Transcription").click()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
    watched.clean()


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("Object.defineProperty(window, 'isSecureContext', {value: false});", "by HTTPS"),
        (
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); };",
            "does not let this page use the microphone",
        ),
        (
            "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotFoundError'); };",
            "No microphone was found",
        ),
    ],
)
def test_why_there_is_no_microphone_is_said(opened: Opener, before: str, said: str) -> None:
    watched = opened("playground#transcription")
    watched.page.evaluate(f"() => {{ {before} }}")
    watched.page.get_by_role("button", name="Record", exact=True).click()
    expect(watched.page.get_by_role("alert")).to_contain_text(said)
    watched.clean()


def test_too_large_a_recording_is_refused_in_the_server_s_words(opened: Opener) -> None:
    watched = opened("playground#transcription")
    page = watched.page
    page.locator(".drop").wait_for()
    page.evaluate("""() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([new Uint8Array(27 * 2 ** 20)], "long.wav"));
      document.querySelector(".drop").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
    }""")
    page.get_by_role("button", name="Transcribe").click()
    note = page.get_by_role("alert")
    expect(note).to_contain_text("Maximum content size limit (26214400) exceeded")
    expect(note).to_contain_text("Send it in parts")
    expect(note.get_by_role("button")).to_have_count(0)
    expect(note).to_contain_text("req_")
    expect(page.get_by_text("long.wav")).to_be_visible()
    assert watched.refused == [(413, "/v1/audio/transcriptions")]
    watched.clean()


def test_text_that_is_markup_stays_text(opened: Opener, fox: bytes) -> None:
    watched = opened_with(opened, f"{HOSTILE}.mp3", fox)
    page = watched.page
    segment = {"id": 0, "start": 0, "end": 2, "text": f" {HOSTILE} fox"}
    said = [{"word": one, "start": at, "end": at + 0.5} for at, one in enumerate([*HOSTILE.split(), "fox"])]
    answered(
        page,
        [
            {"type": "transcript.text.segment", **segment, "words": said},
            {
                "type": "transcript.text.done",
                "task": "transcribe",
                "language": HOSTILE,
                "duration": 2,
                "text": f"{HOSTILE} fox",
                "segments": [segment],
                "words": said,
                "seconds": 2,
                "credits": 0.02,
                "quality": {"mode": "medium", "passes": 1},
            },
        ],
    )
    transcribe(page)
    expect(page.locator(".hear-segment p")).to_have_text(f"{HOSTILE} fox")
    expect(page.locator(".hear-chosen strong")).to_have_text(f"{HOSTILE}.mp3")
    expect(page.locator(".stats")).to_contain_text("0.02")
    assert page.locator(".work img").count() == 0
    watched.clean()


def test_an_answer_that_breaks_off_keeps_its_words_and_can_be_asked_for_again(opened: Opener, fox: bytes) -> None:
    watched = opened_with(opened, "fox.mp3", fox)
    page = watched.page
    answered(
        page,
        [
            {"type": "transcript.text.segment", "id": 0, "start": 0, "end": 2, "text": " Half of it"},
            {"error": {"message": "The model has stopped.", "type": "server_error", "code": "engine_failed"}},
        ],
    )
    page.get_by_role("button", name="Transcribe").click()
    note = page.get_by_role("alert")
    expect(note).to_contain_text("The model has stopped.")
    expect(note).to_contain_text("req_of_the_test")
    expect(page.locator(".hear-segment p")).to_have_text("Half of it")
    page.unroute("**/v1/audio/transcriptions")
    assert watched.axe() == []
    note.get_by_role("button", name="Try again").click()
    expect(page.locator(".hear-segment p")).to_have_text(FOX, timeout=60_000)
    expect(note).to_have_count(0)
    # Another file takes its place.
    page.evaluate(DROP, ["other.mp3", base64.b64encode(fox).decode()])
    expect(page.get_by_text("other.mp3")).to_be_visible()
    expect(page.locator(".hear-segment")).to_have_count(0)
    watched.clean()


def test_a_key_that_expires_and_a_server_that_is_gone_lose_nothing(opened: Opener, fox: bytes) -> None:
    watched = opened_with(opened, "fox.mp3", fox)
    page = watched.page
    refusal = {"error": {"message": "This key has expired.", "type": "invalid_request_error", "code": "expired_key"}}
    page.route("**/v1/audio/transcriptions", lambda route: route.fulfill(status=401, json=refusal))
    page.get_by_role("button", name="Transcribe").click()
    expect(page.get_by_role("dialog")).to_contain_text("This key has expired.")
    page.keyboard.press("Escape")
    expect(page.get_by_text("fox.mp3")).to_be_visible()

    def gone(route: Route) -> None:
        route.abort("connectionrefused")

    page.unroute("**/v1/audio/transcriptions")
    page.reload()
    page.locator(".drop").wait_for()
    page.evaluate(DROP, ["fox.mp3", base64.b64encode(fox).decode()])
    page.route("**/v1/audio/transcriptions", gone)
    page.get_by_role("button", name="Transcribe").click()
    expect(page.locator(".work").get_by_role("alert")).to_contain_text("can't be reached")
    expect(page.get_by_text("fox.mp3")).to_be_visible()
    assert watched.foreign == []


def test_stopping_stops_the_server_too(opened: Opener, server: LiveServer, story: bytes) -> None:
    watched = opened_with(opened, "story.mp3", story * 12)
    page = watched.page
    page.get_by_role("button", name="Transcribe").click()
    page.locator(".hear-segment").first.wait_for(timeout=60_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped. What was heard until then")).to_be_visible()
    expect(page.get_by_role("button", name="Transcribe again")).to_be_enabled()
    watched.clean()
