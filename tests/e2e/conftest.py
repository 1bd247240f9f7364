"""One real server for all these tests. Those that kill its processes use it too: it has to recover."""

from collections.abc import Generator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.e2e.live import CHAT, EAR, MODELS, START, VOICE, LiveServer

FOX = "The quick brown fox jumps over the lazy dog."
STORY = (
    "The captain looked at his watch. Nobody spoke for a long time. Then the bells began to ring. "
    "The baker sold fresh bread and sweet cakes. Snow fell on the empty streets. A train whistled behind the hills. "
    "Two cats slept under the bridge. The river was full of fallen leaves. Morning came with golden light. "
    "Farmers carried milk to the market. The school opened its doors again. Everyone was happy to be home."
)
LIVE = pytest.StashKey[LiveServer]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(START + 60))  # whichever is first waits for the start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show the end of the server's log where a test that uses it has failed."""
    report = yield
    live = item.session.stash.get(LIVE, None)
    if report.failed and live is not None and "server" in getattr(item, "fixturenames", ()):
        report.sections.append(("the server's log ends", live.log[-6000:]))
    return report


def installed() -> None:
    """Fail unless the starter models are there."""
    for model in (CHAT, VOICE, EAR):
        assert (MODELS / model).is_dir(), f"{MODELS / model} is missing: scripts/models brings the starter models"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[LiveServer]:
    installed()
    # Of a client that reads nothing nobody shall wait a minute to see it cut off; all others read.
    live = LiveServer(tmp_path_factory.mktemp("server"), settings={"reader_timeout": "5"})
    request.session.stash[LIVE] = live
    try:
        live.wait_announced()
        live.wait_ready(fresh=True)
        yield live
    finally:
        live.stop()
    assert live.key not in live.log
    written = {str(path.relative_to(live.folder / "home")) for path in (live.folder / "home").glob("*/*")}
    assert written <= {".cache/vllm"}, f"written into the user's home: {written}"


@pytest.fixture(scope="session")
def sdk(server: LiveServer) -> Iterator[OpenAI]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def http(server: LiveServer) -> Iterator[httpx.Client]:
    """Plain HTTP with the key, for what the SDK hides."""
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=100) as client:
        yield client


def spoken(sdk: OpenAI, text: str, form: str) -> BytesIO:
    speech = sdk.audio.speech.create(model="tts-1", voice="alloy", input=text, response_format=form)  # type: ignore[arg-type]
    file = BytesIO(speech.content)
    file.name = f"speech.{form}"
    return file


@pytest.fixture(scope="session")
def fox(sdk: OpenAI) -> bytes:
    """`FOX` as the starter voice says it, in mp3."""
    return spoken(sdk, FOX, "mp3").getvalue()


@pytest.fixture(scope="session")
def story(sdk: OpenAI) -> bytes:
    """`STORY`, about half a minute, in mp3."""
    return spoken(sdk, STORY, "mp3").getvalue()


@pytest.fixture
def audio_file(fox: bytes, tmp_path: Path) -> Path:
    """audio.mp3 with `FOX` in it."""
    path = tmp_path / "audio.mp3"
    path.write_bytes(fox)
    return path
