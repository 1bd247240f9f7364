"""Clients that hang up and processes that are killed, on the one live server: it must lose nothing else, and recover.

Each test leaves every model ready, and proves that the server's process is the one it began with.
"""

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import httpx
import openai
import psutil
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion

from tests.e2e.conftest import FOX, STORY
from tests.e2e.live import CHAT, EAR, VOICE, LiveServer, kill, lives, until
from tests.e2e.test_python_audio import named, words

ASKED: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "What is the capital of Japan?"}],
}
ENDLESS = ASKED | {"max_tokens": 4000, "ignore_eos": True}
"""A minute's work at least."""
TOKYO = "The capital of Japan is Tokyo."


@pytest.fixture(autouse=True)
def recovered(server: LiveServer) -> Iterator[None]:
    """Every model ready and idle before a test and after it, in the same server process."""
    idle(server)
    yield
    assert server.process.poll() is None
    assert server.process.pid == server.pid
    idle(server)


def idle(server: LiveServer) -> None:
    server.wait_ready()
    until(lambda: not any(server.running(model) for model in (CHAT, VOICE, EAR)), "nothing runs", within=10)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


def greedy(sdk: OpenAI) -> str | None:
    answer: ChatCompletion = sdk.chat.completions.create(**ASKED, temperature=0)
    return answer.choices[0].message.content


def running(server: LiveServer, model: str, count: int) -> None:
    until(lambda: server.running(model) == count, f"{count} jobs run in {model}", within=20)


class Stream:
    """A streamed request in a thread of its own. `began` is set by its first event."""

    def __init__(self, pool: ThreadPoolExecutor, server: LiveServer, path: str, **request: Any) -> None:
        self.began = threading.Event()
        self.events: list[Any] = []
        self.closing = threading.Event()
        self._work: Future[None] = pool.submit(self._read, server, path, request)

    def _read(self, server: LiveServer, path: str, request: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {server.key}"}
        with httpx.stream("POST", server.url + path, headers=headers, timeout=100, **request) as answer:
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    self.events.append(json.loads(line[6:]))
                    self.began.set()
                elif line:
                    self.events.append(line)
                if self.closing.is_set():
                    return

    def wait_begun(self) -> "Stream":
        until(lambda: self.began.is_set() or self._work.done(), "a stream begins", within=60)
        assert self.began.is_set(), self._work.result()
        return self

    def ended(self) -> list[Any]:
        """All its events; raises what broke it."""
        self._work.result(100)
        return self.events


def chat_stream(pool: ThreadPoolExecutor, server: LiveServer, **body: Any) -> Stream:
    return Stream(pool, server, "/v1/chat/completions", json=body | {"stream": True})


def speech_stream(pool: ThreadPoolExecutor, server: LiveServer, text: str) -> Stream:
    body = {"model": "tts-1", "voice": "alloy", "input": text, "stream_format": "sse"}
    return Stream(pool, server, "/v1/audio/speech", json=body)


def transcript_stream(pool: ThreadPoolExecutor, server: LiveServer, audio: bytes) -> Stream:
    return Stream(
        pool,
        server,
        "/v1/audio/transcriptions",
        data={"model": "whisper-1", "stream": "true"},
        files={"file": ("a.mp3", audio)},
    )


def chat_text(events: list[Any]) -> str:
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events if isinstance(event, dict))


def failed(events: list[Any]) -> bool:
    """Whether a stream ended with the error of an engine that died."""
    return any(
        isinstance(event, dict) and (event.get("error") or {}).get("code") == "engine_failed" for event in events
    )


def assert_engine_failed(request: Future[Any]) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        request.result(60)
    assert caught.value.status_code in (500, 503)
    assert caught.value.code in ("engine_failed", "model_unavailable")
    assert caught.value.type in ("server_error", "service_unavailable_error")


@contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    """Stopped where it is, so that what is sent to it is in flight for certain."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()


# ---------------------------------------------------------------- hanging up


def request_bytes(server: LiveServer, path: str, body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def connect(server: LiveServer) -> socket.socket:
    url = httpx.URL(server.url)
    assert url.port is not None
    return socket.create_connection((url.host, url.port), timeout=60)


@pytest.mark.parametrize("abruptly", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("model", "path", "body", "answered"),
    [
        (CHAT, "/v1/chat/completions", ENDLESS | {"stream": True}, True),
        (CHAT, "/v1/chat/completions", ENDLESS, False),
        (CHAT, "/v1/chat/completions", ENDLESS | {"n": 4}, False),
        (CHAT, "/v1/chat/completions", ENDLESS | {"quality": "ultra", "temperature": 0.7}, False),
        (VOICE, "/v1/audio/speech", {"model": "tts-1", "input": STORY * 9}, True),
    ],
    ids=["stream", "whole", "four answers", "five drafts", "speech"],
)
def test_a_client_that_hangs_up_stops_its_work(
    server: LiveServer, sdk: OpenAI, model: str, path: str, body: Any, answered: bool, abruptly: bool
) -> None:
    with closing(connect(server)) as connection:
        connection.sendall(request_bytes(server, path, body))
        until(lambda: server.running(model) > 0, "the work begins", within=20)
        if answered:
            received = b""
            while b"data: " not in received and len(received) < 2000:
                received += connection.recv(1000)
            assert received.startswith(b"HTTP/1.1 200")
        assert server.running(model) > 0
        if abruptly:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    until(lambda: server.running(model) == 0, "the work stops", within=10)  # all of it takes longer
    if model == CHAT:
        until(lambda: rests(server.core_worker()), "vLLM's worker rests too", within=10)
    assert greedy(sdk) == TOKYO


def rests(process: psutil.Process) -> bool:
    """Whether it has hardly computed for a moment."""
    return float(process.cpu_percent(interval=0.3)) < 30


def test_a_hang_up_among_many_streams_costs_the_others_nothing(server: LiveServer, pool: ThreadPoolExecutor) -> None:
    body = ASKED | {"temperature": 0, "ignore_eos": True, "stream_options": {"include_usage": True}}
    streams = [chat_stream(pool, server, **body, max_tokens=4000 if i == 7 else 40) for i in range(16)]
    leaving = streams.pop(7).wait_begun()
    leaving.closing.set()
    leaving.ended()
    for stream in streams:
        *events, last, done = stream.ended()
        assert done == "data: [DONE]"
        assert last["usage"]["completion_tokens"] == 40
        assert events[-1]["choices"][0]["finish_reason"] == "length"
        assert chat_text(events).startswith(TOKYO)
    until(lambda: server.running(CHAT) == 0, "nothing is left of the one that hung up", within=10)


# ---------------------------------------------------------------- kill -9


@pytest.mark.parametrize("victim", ["core", "core_worker"])
def test_killing_vllm_costs_its_own_requests_only(
    server: LiveServer, sdk: OpenAI, pool: ThreadPoolExecutor, story: bytes, victim: str
) -> None:
    streamed = chat_stream(pool, server, **ENDLESS)
    whole = pool.submit(lambda: sdk.chat.completions.create(**ASKED, max_tokens=4000, extra_body={"ignore_eos": True}))
    speech = speech_stream(pool, server, STORY)
    transcript = transcript_stream(pool, server, story)
    streamed.wait_begun()
    running(server, CHAT, 2)
    find: Callable[[], psutil.Process] = getattr(server, victim)
    with frozen(server.worker(VOICE)), frozen(server.worker(EAR)):
        kill(find())
    # Not for longer: a worker that is stopped counts as hung within seconds.
    events = streamed.ended()
    assert_engine_failed(whole)
    assert failed(events)
    assert events[-1] == "data: [DONE]"
    assert greedy(sdk) == TOKYO
    *deltas, done = speech.ended()
    assert done["usage"]["input_tokens"] == len(STORY)
    assert len(b"".join(base64.b64decode(delta["audio"]) for delta in deltas)) > 50_000
    assert transcript.ended()[-1]["type"] == "transcript.text.done"


def test_killing_whisper_costs_its_own_requests_only(
    server: LiveServer, sdk: OpenAI, pool: ThreadPoolExecutor, fox: bytes, story: bytes
) -> None:
    chat = chat_stream(pool, server, **ASKED, temperature=0, ignore_eos=True, max_tokens=60)
    worker = server.worker(EAR)
    with frozen(worker):
        whole = pool.submit(sdk.audio.transcriptions.create, model="whisper-1", file=named(fox))
        running(server, EAR, 1)
        kill(worker)
    assert_engine_failed(whole)
    assert words(sdk.audio.transcriptions.create(model="whisper-1", file=named(fox)).text) == words(FOX)
    assert server.worker(EAR).pid != worker.pid

    streamed = transcript_stream(pool, server, story).wait_begun()
    kill(server.worker(EAR))
    events = streamed.ended()
    if events[-1].get("type") != "transcript.text.done":  # all of it may have been sent already
        assert failed(events)
    assert chat_text(chat.ended()).startswith(TOKYO)
    assert words(sdk.audio.transcriptions.create(model="whisper-1", file=named(fox)).text) == words(FOX)


def test_killing_piper_costs_its_own_requests_only(
    server: LiveServer, sdk: OpenAI, pool: ThreadPoolExecutor, fox: bytes
) -> None:
    chat = chat_stream(pool, server, **ASKED, temperature=0, ignore_eos=True, max_tokens=60)
    worker = server.worker(VOICE)
    with frozen(worker):
        whole = pool.submit(sdk.audio.speech.create, model="tts-1", voice="alloy", input=FOX)
        running(server, VOICE, 1)
        kill(worker)
    assert_engine_failed(whole)
    assert len(sdk.audio.speech.create(model="tts-1", voice="alloy", input=FOX).content) > 10_000
    assert server.worker(VOICE).pid != worker.pid

    events = speech_stream(pool, server, STORY * 9).wait_begun()
    torn = pool.submit(httpx.post, **speech_request(server, STORY * 9))
    running(server, VOICE, 2)
    kill(server.worker(VOICE))
    assert failed(events.ended())
    # Audio that has begun can't tell of an error: it must at least not look whole. Else it is refused like any other.
    with suppress(httpx.RemoteProtocolError):
        assert torn.result(60).status_code == 500
    assert words(sdk.audio.transcriptions.create(model="whisper-1", file=named(fox)).text) == words(FOX)
    assert chat_text(chat.ended()).startswith(TOKYO)
    assert len(sdk.audio.speech.create(model="tts-1", voice="alloy", input=FOX).content) > 10_000


def speech_request(server: LiveServer, text: str) -> dict[str, Any]:
    return {
        "url": f"{server.url}/v1/audio/speech",
        "headers": {"Authorization": f"Bearer {server.key}"},
        "json": {"model": "tts-1", "input": text},
        "timeout": 100,
    }


def test_killing_the_fork_server_costs_chat_only(server: LiveServer, sdk: OpenAI, pool: ThreadPoolExecutor) -> None:
    """vLLM's core ends with it, rather than living on unseen with all its memory; fresh ones take over, twice."""
    first, core, computing = server.fork_server(), server.core(), server.core_worker()
    streamed = chat_stream(pool, server, **ENDLESS).wait_begun()
    speech = speech_stream(pool, server, STORY)
    kill(first)
    assert failed(streamed.ended())
    assert greedy(sdk) == TOKYO
    until(lambda: not lives(core) and not lives(computing), "the core ends with its fork server", within=10)
    assert speech.ended()[-1]["type"] == "speech.audio.done"
    second = server.fork_server()
    assert second.pid != first.pid

    # A stream that ends tells that the server knows: what is asked sooner dies with the core.
    streamed = chat_stream(pool, server, **ENDLESS).wait_begun()
    kill(server.core())
    assert failed(streamed.ended())
    assert greedy(sdk) == TOKYO
    assert server.fork_server().pid == second.pid
