"""The requests of `scripts/bench media` to a server: sent at the same moment, and timed until they are answered."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

LONGEST = 600.0
"""Seconds until an answer must have come."""


@dataclass(frozen=True, slots=True)
class Answer:
    """seconds, first: from when the first of the requests was sent, to this one's end and to its first piece."""

    seconds: float
    first: float
    text: str = ""


class Client:
    """A client of one server, whose connections stay open between requests that follow each other."""

    def __init__(self, url: str, models: Mapping[str, str], *, connections: int = 64) -> None:
        self._http = httpx.Client(
            base_url=url,
            trust_env=False,
            timeout=LONGEST,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
        self._models = models
        self._pool = ThreadPoolExecutor(connections)

    def close(self) -> None:
        self._pool.shutdown()
        self._http.close()

    def all(self, asks: Sequence[Callable[[float], Answer]]) -> list[Answer]:
        """Send them at the same moment; each of them is called with that moment. Raises ValueError."""
        begun = time.perf_counter()
        return [pending.result() for pending in [self._pool.submit(ask, begun) for ask in asks]]

    def draw(self, begun: float, *, prompt: str, count: int, size: tuple[int, int], steps: int, seed: int) -> Answer:
        body = {
            "model": self._models["pictures"],
            "prompt": prompt,
            "n": count,
            "response_format": "b64_json",
            "size": f"{size[0]}x{size[1]}",
            "steps": steps,
            "quality": "medium",
            "seed": seed,
        }
        answer = _checked(self._http.post("/v1/images/generations", json=body))
        if (got := len(answer.json()["data"])) != count:
            raise ValueError(f"{got} pictures came instead of {count}")
        return _ended(begun)

    def hear(self, begun: float, *, data: bytes, quality: str, stream: bool) -> Answer:
        """stream: as events, of which the first that has text counts as the first piece."""
        fields = {"model": self._models["transcription"], "language": "en", "quality": quality}
        files = {"file": ("sound.wav", data, "audio/wav")}
        if not stream:
            answer = _checked(self._http.post("/v1/audio/transcriptions", data=fields, files=files))
            return _ended(begun, text=answer.json()["text"])
        first: float | None = None
        done: Mapping[str, Any] = {}
        with self._http.stream(
            "POST", "/v1/audio/transcriptions", data={**fields, "stream": "true"}, files=files
        ) as answer:
            for event in _events(answer):
                if event.get("type") == "transcript.text.delta":
                    first = first or time.perf_counter() - begun
                elif event.get("type") == "transcript.text.done":
                    done = event
        if "text" not in done:
            raise ValueError(f"a transcript broke off: {json.dumps(done)[:300]}")
        return _ended(begun, first, done["text"])

    @contextmanager
    def hearing(self, data: bytes, quality: str) -> Iterator[None]:
        """A recording is transcribed, as a stream, for the length of the block, which begins with its first segment.

        Afterwards its client hangs up. Raises ValueError if it was done before the block: nothing was then behind it.
        """
        fields = {"model": self._models["transcription"], "language": "en", "quality": quality, "stream": "true"}
        started, enough, done = threading.Event(), threading.Event(), threading.Event()

        def listen() -> None:
            try:
                files = {"file": ("sound.wav", data, "audio/wav")}
                with self._http.stream("POST", "/v1/audio/transcriptions", data=fields, files=files) as answer:
                    for _ in _events(answer):
                        started.set()
                        if enough.is_set():
                            return
            finally:
                done.set()
                started.set()

        listening = self._pool.submit(listen)
        started.wait()
        try:
            if done.is_set():
                raise ValueError("the recording behind which others were to be heard was done before them")
            yield
        finally:
            enough.set()
            listening.result()

    def say(self, begun: float, *, text: str) -> Answer:
        body = {"model": self._models["speech"], "input": text, "response_format": "pcm", "quality": "medium"}
        first, size = None, 0
        with self._http.stream("POST", "/v1/audio/speech", json=body) as answer:
            if answer.status_code != httpx.codes.OK:
                answer.read()
                _checked(answer)
            for piece in answer.iter_raw():
                if piece:
                    first = first or time.perf_counter() - begun
                    size += len(piece)
        if not size:
            raise ValueError("a text was answered with no sound")
        return _ended(begun, first)


def _ended(begun: float, first: float | None = None, text: str = "") -> Answer:
    seconds = time.perf_counter() - begun
    return Answer(seconds, seconds if first is None else first, text)


def _events(answer: httpx.Response) -> Iterator[Mapping[str, Any]]:
    """The data of server-sent events. Raises ValueError for any other answer."""
    if answer.status_code != httpx.codes.OK:
        answer.read()
        _checked(answer)
    for line in answer.iter_lines():
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code != httpx.codes.OK:
        raise ValueError(f"{answer.request.url.path} answered {answer.status_code}: {answer.text[:300]}")
    return answer
