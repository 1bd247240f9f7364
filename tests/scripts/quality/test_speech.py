"""The sentences that are spoken, and what is made of an answer."""

import base64
import io
import json
import re
import wave

import httpx
import numpy as np
import pytest

from scripts.quality import speech
from scripts.quality.frame import Failure
from scripts.quality.hard_sentences import KINDS, hard_sentence

pytestmark = pytest.mark.anyio


def test_sentences_come_from_the_seed() -> None:
    assert speech.items(60, 3) == speech.items(60, 3)
    assert speech.items(60, 3) != speech.items(60, 4)
    items = speech.items(90, 3)
    assert len({item.text for item in items}) == 90
    assert len({item.id for item in items}) == 90
    assert [item.kind for item in items[:4]] == [*KINDS, KINDS[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_every_template_can_be_filled(kind: str) -> None:
    rng = np.random.default_rng(1)
    for number in range(40):
        text = hard_sentence(kind, number, rng)
        assert not re.search(r"[{}]|\.\.", text), text
        assert text.endswith((".", ".m.")), text


def audio(rate: int = 22_050) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(rate)
        sink.writeframes((np.sin(np.arange(rate) / 10) * 9000).astype("<i2").tobytes())
    return file.getvalue()


class Server:
    """Speaks a second of a tone, and hears what the test says."""

    def __init__(self, *heard: str, whole: bool = True) -> None:
        self.heard = list(heard)
        self.whole = whole
        self.asked: list[str] = []
        self.sounds: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if request.url.path == "/v1/audio/transcriptions":
            self.sounds.append(request.content)
            return httpx.Response(200, json={"text": self.heard.pop(0)})
        body = json.loads(request.content)
        assert (body["quality"], body["stream_format"], body["response_format"]) == ("ultra", "sse", "wav")
        data = audio()
        events: list[dict[str, object]] = [
            {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
            for piece in (data[:99], data[99:])
        ]
        if self.whole:
            usage = {"total_tokens": 21, "characters": 21, "credits": 0.5, "quality": {"mode": "ultra", "passes": 2}}
            events.append({"type": "speech.audio.done", "usage": usage})
        return httpx.Response(200, text="".join(f"data: {json.dumps(event)}\n\n" for event in events))

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="http://test")


ITEM = speech.Sentence(id="1", kind="numbers", text="He has 42 red apples.")


async def test_the_score_is_the_judges_and_the_choosers_is_kept_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def judge(samples: np.ndarray) -> str:  # type: ignore[type-arg]
        read.append(samples.size)
        return "He is 42 dead apples"

    monkeypatch.setattr(speech, "read_back", judge)
    server = Server("He has forty-two red apples")
    async with server.client() as client:
        outcome = await speech.ask(client, ITEM, "ultra")
    assert outcome.score == pytest.approx(0.4)
    assert outcome.detail["chooser"] == 0
    assert outcome.detail["heard"] == "He is 42 dead apples"
    assert (outcome.credits, outcome.passes, outcome.tokens) == (0.5, 2, 0)
    assert outcome.seconds is not None
    assert server.asked == ["/v1/audio/speech", "/v1/audio/transcriptions"]
    assert read == [16_000]


async def test_speech_that_breaks_off_is_a_failure() -> None:
    async with Server(whole=False).client() as client:
        with pytest.raises(Failure):
            await speech.ask(client, ITEM, "ultra")
