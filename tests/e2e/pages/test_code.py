"""The code that the pages show, as it is copied: by curl, Python and Node.js, each run against the real server."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.conftest import FOX
from tests.e2e.live import CHAT, ROOT, LiveServer
from tests.e2e.pages.conftest import Opener
from tests.e2e.test_python_audio import words

NODE_MODULES = ROOT / "tests/e2e/node/node_modules"
QUESTION = [{"role": "user", "content": "What is the capital of Japan?"}]
WRITTEN = """async ([chosen, form]) => {
  const script = document.querySelector("script[type=module]").src;
  const { asCurl, asPython, asNode } = await import(new URL("../code/code.js", script));
  const { asResponse } = await import(new URL("../code/responses.js", script));
  const request = form === "responses" ? asResponse(chosen).request : chosen;
  return { curl: asCurl(request), python: asPython(request), node: asNode(request) };
}"""
WEATHER = {
    "name": "weather",
    "description": "Tells the weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]},
}


class Bench:
    """Runs programs in a folder of their own, with the key where a person would have put it."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
        self._environment["OPENAI_API_KEY"] = key
        (folder / "node_modules").symlink_to(NODE_MODULES, target_is_directory=True)

    def run(self, language: str, code: str) -> str:
        node = shutil.which("node")
        assert node is not None, "Node.js is missing"
        file = self.folder / {"curl": "code.sh", "python": "code.py", "node": "code.mjs"}[language]
        file.write_text(code)
        command = {"curl": ["bash", "-e"], "python": [sys.executable], "node": [node]}[language]
        ended = subprocess.run(
            [*command, file], cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=100
        )
        assert ended.returncode == 0, f"{code}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def fresh(self, name: str) -> bytes:
        """A file that the program has written; taken away, so that the next one writes its own."""
        path = self.folder / name
        data = path.read_bytes()
        path.unlink()
        return data


@pytest.fixture
def bench(tmp_path: Path, server: LiveServer) -> Bench:
    return Bench(tmp_path, server.key)


@pytest.fixture
def written(opened: Opener) -> "Written":
    """The programs that a page writes for a request, by their language; those of a chat in either form."""
    page = opened("playground").page

    def write(request: dict[str, Any], form: str = "") -> dict[str, str]:
        programs: dict[str, str] = page.evaluate(WRITTEN, [request, form])
        assert all("sk-sage" not in code for code in programs.values())
        return programs

    return write


Written = Callable[..., dict[str, str]]


@pytest.mark.parametrize("stream", [True, False])
def test_a_chat(written: Written, bench: Bench, stream: bool) -> None:
    json = {"model": CHAT, "messages": QUESTION, "temperature": 0, "max_tokens": 12, "quality": "low", "stream": stream}
    code = written({"path": "/v1/chat/completions", "json": json, "stream": stream})
    python = bench.run("python", code["python"])
    assert "Tokyo" in python
    assert bench.run("node", code["node"]) == python
    curl = bench.run("curl", code["curl"])
    assert "Tokyo" in curl.replace('"}', "")
    assert curl.rstrip().endswith("data: [DONE]") is stream


@pytest.mark.parametrize("stream", [True, False])
def test_a_chat_as_a_response(written: Written, bench: Bench, stream: bool) -> None:
    """It asks for the same, and is given the same, as far as two requests to a model are."""
    messages = [
        {"role": "system", "content": "You answer in one word."},
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "Paris."},
        *QUESTION,
    ]
    json = {"model": CHAT, "messages": messages, "temperature": 0, "seed": 1, "max_tokens": 12, "stream": stream}
    chat = {"path": "/v1/chat/completions", "json": json, "stream": stream}
    code = written(chat, "responses")
    python = bench.run("python", code["python"])
    assert "Tokyo" in python
    assert bench.run("node", code["node"]) == python
    assert bench.run("python", written(chat)["python"]) == python
    curl = bench.run("curl", code["curl"])
    assert ("event: response.completed" in curl) is stream
    assert python.strip() in curl


@pytest.mark.parametrize("stream", [True, False])
def test_a_chat_with_a_tool_and_one_with_a_form_as_a_response(written: Written, bench: Bench, stream: bool) -> None:
    json: dict[str, Any] = {"model": CHAT, "messages": QUESTION, "temperature": 0, "max_tokens": 60, "stream": stream}
    chat = {"path": "/v1/chat/completions", "stream": stream}
    tools = [{"type": "function", "function": WEATHER}]
    choice = {"type": "function", "function": {"name": "weather"}}
    schema = {"name": "city", "strict": True, "schema": {"type": "object", "properties": {"city": {"enum": ["Tokyo"]}}}}
    for more, said in (
        ({"tools": tools, "tool_choice": choice}, r'weather \{"city": ?"Paris"\}'),
        ({"response_format": {"type": "json_schema", "json_schema": schema}}, r"^\{[^{}]*\}$"),
    ):
        code = written(chat | {"json": json | more}, "responses")
        for language in ("python", "node"):
            assert re.search(said, bench.run(language, code[language]).strip())


def test_the_code_of_a_chat_in_both_forms(opened: Opener) -> None:
    watched = opened("playground#chat")
    page = watched.page
    page.get_by_label("Message", exact=True).fill("What is 2+2?")
    page.get_by_text("Sampling", exact=True).click()
    page.get_by_label("Answers at once").fill("2")
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_role("tab", name="Code", exact=True).click()
    code = page.get_by_label("Code in curl")
    expect(code).to_contain_text("/v1/chat/completions")
    form = page.get_by_role("group", name="API")
    expect(form.get_by_role("radio", name="Chat completions")).to_be_checked()
    form.get_by_role("radio", name="Chat completions").press("ArrowRight")
    expect(code).to_contain_text("/v1/responses")
    expect(code).to_contain_text('"input": "What is 2+2?"')
    expect(page.get_by_text("Left out, since a response has no such field: n.")).to_be_visible()
    expect(page.get_by_text("This server takes seed too")).to_be_visible()
    page.get_by_role("tab", name="Python").click()
    expect(page.get_by_label("Code in python")).to_contain_text("client.responses.create(")
    assert watched.axe() == []
    # What is no chat has one form.
    page.get_by_role("tab", name="Embeddings", exact=True).click()
    page.get_by_role("tab", name="Code", exact=True).click()
    expect(page.get_by_label("Code in curl")).to_contain_text("/v1/embeddings")
    expect(form).to_have_count(0)
    watched.clean()


def test_pictures(written: Written, bench: Bench) -> None:
    json = {"prompt": 'it\'s a "red" heart', "n": 2, "response_format": "b64_json", "quality": "low", "seed": 3}
    code = written({"path": "/v1/images/generations", "json": json})
    drawn = []
    for language in ("python", "node"):
        bench.run(language, code[language])
        drawn.append([bench.fresh(f"image-{number}.png") for number in range(2)])
    assert drawn[0] == drawn[1], "the seed makes the same pictures"
    assert min(Image.open(BytesIO(drawn[0][0])).size) >= 64
    assert bench.run("curl", code["curl"]).count('"b64_json"') == 2


def test_a_streamed_picture_of_another_format(written: Written, bench: Bench) -> None:
    json = {"model": "gpt-image-1", "prompt": "a red heart", "stream": True, "partial_images": 1, "quality": "low"}
    code = written({"path": "/v1/images/generations", "json": json | {"output_format": "webp"}, "stream": True})
    for language in ("python", "node"):
        bench.run(language, code[language])
        assert Image.open(BytesIO(bench.fresh("image.webp"))).format == "WEBP"


def test_a_picture_redrawn(written: Written, bench: Bench) -> None:
    Image.new("RGB", (64, 64), "red").save(bench.folder / 'my; "best" picture.png')
    form = [["image", {"file": 'my; "best" picture.png'}], ["prompt", "a blue star"], ["response_format", "b64_json"]]
    code = written({"path": "/v1/images/edits", "form": [*form, ["quality", "low"]]})
    for language in ("python", "node"):
        bench.run(language, code[language])
        assert Image.open(BytesIO(bench.fresh("image-0.png"))).format == "PNG"
    assert '"b64_json"' in bench.run("curl", code["curl"])


@pytest.mark.parametrize("format_", ["json", "srt"])
def test_a_transcript(written: Written, bench: Bench, fox: bytes, format_: str) -> None:
    (bench.folder / "the fox.mp3").write_bytes(fox)
    form = [["file", {"file": "the fox.mp3"}], ["model", "whisper-1"], ["response_format", format_]]
    code = written({"path": "/v1/audio/transcriptions", "form": form})
    for language in code:
        said = bench.run(language, code[language])
        assert set(words(FOX)[:8]) <= set(words(said))  # in JSON the last word runs into what follows
        assert ("-->" in said) is (format_ == "srt")


def test_speech(written: Written, bench: Bench) -> None:
    json = {"model": "tts-1", "voice": "alloy", "input": 'It\'s "half" past ten.', "response_format": "wav"}
    code = written({"path": "/v1/audio/speech", "json": json, "save": "speech.wav"})
    for language in code:
        bench.run(language, code[language])
        assert bench.fresh("speech.wav")[:4] == b"RIFF"


def test_embeddings(written: Written, bench: Bench) -> None:
    code = written({"path": "/v1/embeddings", "json": {"model": "text-embedding-3-small", "input": ["a", "b"]}})
    for language in ("python", "node"):
        # A list of numbers may take several lines.
        said = re.findall(r"^(\d+) (\d+) \[", bench.run(language, code[language]), re.MULTILINE)
        assert said == [("0", "384"), ("1", "384")]
    assert bench.run("curl", code["curl"]).count('"embedding"') >= 2


def test_ask_sage(written: Written, bench: Bench) -> None:
    json = {"message": "What is the capital of Japan?", "model": CHAT, "temperature": 0, "dataset": "none"}
    code = written({"path": "/server/query", "json": json})
    for language in code:
        assert '"message"' in bench.run(language, code[language])


def test_what_is_copied_is_what_is_shown(opened: Opener) -> None:
    """By the button, on the first page; there the code is of a model that answers."""
    watched = opened("")
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    first = watched.page.get_by_role("region", name="Your first request")
    first.get_by_role("tab", name="Python").click()
    shown = first.get_by_label("Code in python").inner_text()
    first.get_by_role("button", name="Copy").click()
    expect(first.get_by_role("button", name="Copied")).to_be_visible()
    assert watched.page.evaluate("() => navigator.clipboard.readText()").rstrip() == shown.rstrip()
    assert shown.startswith("from openai import OpenAI")
    watched.clean()
