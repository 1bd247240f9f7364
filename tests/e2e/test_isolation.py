"""Nothing leaves the machine, and nothing private enters the log."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.e2e.conftest import FOX, installed
from tests.e2e.live import LiveServer, until
from tests.e2e.test_python_audio import words

NAMESPACE = Path(__file__).parent / "namespace.sh"
ASKING = """
import json, sys
from io import BytesIO
from openai import OpenAI
url, key, said, fox = sys.argv[1:]
client = OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=100)
asked = [{"role": "user", "content": "What is the capital of Japan?"}]
chat = client.chat.completions.create(model="gpt-4o-mini", messages=asked, temperature=0).choices[0].message.content
client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": said}], max_tokens=2)
audio = BytesIO(client.audio.speech.create(model="tts-1", voice="alloy", input=fox).content)
audio.name = "fox.mp3"
text = client.audio.transcriptions.create(model="whisper-1", file=audio, prompt=said).text
print(json.dumps({"chat": chat, "text": text}))
"""
"""Chat, speech and transcription, by a program that runs beside the server."""


def namespaces() -> tuple[list[str], list[str]] | None:
    """How to begin a network namespace here and how to enter one; None if neither root nor a user may."""
    if not {"unshare", "nsenter", "ip"} <= {name for name in ("unshare", "nsenter", "ip") if shutil.which(name)}:
        return None
    ways: list[tuple[list[str], list[str]]] = [
        (["unshare", "--net", "--"], ["nsenter", "--net"]),
        (["unshare", "--net", "--map-root-user", "--"], ["nsenter", "--net", "--user", "--preserve-credentials"]),
    ]
    for begin, enter in ways if os.geteuid() == 0 else ways[1:]:
        if subprocess.run([*begin, str(NAMESPACE), "true"], capture_output=True).returncode == 0:
            return begin, enter
    return None


class Island:
    """A server that has nothing but a loopback, and a way out that leads nowhere and counts what is sent there."""

    def __init__(self, folder: Path, begin: Sequence[str], enter: Sequence[str]) -> None:
        self.server = LiveServer(
            folder, before=[*begin, str(NAMESPACE)], settings={"log_level": "debug", "log_format": "json"}
        )
        self._enter = [*enter, "--target", str(self.server.pid), "--"]

    def run(self, *command: str) -> str:
        """What a program says that runs in the same namespace."""
        ended = subprocess.run([*self._enter, *command], capture_output=True, timeout=250)
        assert ended.returncode == 0, ended.stderr.decode() + self.server.log[-4000:]
        return ended.stdout.decode()

    def wait_ready(self) -> None:
        until(
            lambda: self._failing() or "ready after" in self.server.said, "every model answers", within=240, every=0.2
        )

    def _failing(self) -> bool:
        assert self.server.process.poll() is None, self.server.log[-4000:]
        return False

    def sent(self) -> int | None:
        """Packets that were sent to the world; None where it has no way out at all."""
        for line in self.run("cat", "/proc/net/dev").splitlines():
            name, _, counts = line.partition(":")
            if name.strip() == "out":
                return int(counts.split()[9])
        return None


@pytest.fixture
def island(tmp_path: Path) -> Iterator[Island]:
    installed()
    ways = namespaces()
    if ways is None:
        pytest.skip("NO NETWORK NAMESPACE MAY BE MADE HERE: that no packet leaves the server was not tested")
    made = Island(tmp_path, *ways)
    try:
        made.server.wait_announced()
        made.wait_ready()
        yield made
    finally:
        made.server.stop()


@pytest.mark.timeout(400)
def test_no_packet_leaves_and_everything_answers(island: Island) -> None:
    """From the first start to the last answer. The log, at its most talkative, holds nothing private."""
    secret = f"zanzibar{uuid.uuid4().hex}"
    server = island.server
    answers = json.loads(island.run(sys.executable, "-c", ASKING, server.url, server.key, secret, FOX))
    assert answers["chat"] == "The capital of Japan is Tokyo."
    assert words(answers["text"]) == words(FOX)
    sent = island.sent()
    if sent is not None:
        assert sent == 0, f"{sent} packets left the server"
        # The counter counts: a packet to a documentation address goes into it.
        island.run("bash", "-c", "echo > /dev/udp/198.51.100.1/9")
        assert island.sent() == 1
    for private in (server.key, secret, "capital of Japan", "Tokyo", "quick brown fox", "lazy dog"):
        assert private not in server.log, private
    assert server.said.count(server.key) == 1  # shown once
    requests = [json.loads(line) for line in server.lines('"path":"/v1/')]
    assert {"/v1/chat/completions", "/v1/audio/speech", "/v1/audio/transcriptions"} <= {one["path"] for one in requests}


def test_every_connection_is_on_the_loopback(server: LiveServer) -> None:
    """Where namespaces can't be made this is what remains: nothing listens to, or talks with, another machine."""
    ends = [
        (process, end)
        for process in server.processes()
        for connection in process.net_connections("inet")
        for end in (connection.laddr, connection.raddr)
        if end
    ]
    assert ends
    assert [(process, end) for process, end in ends if end.ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")] == []


def test_no_key_and_no_text_is_logged(server: LiveServer, http: httpx.Client, fox: bytes) -> None:
    secret = f"zanzibar{uuid.uuid4().hex}"
    wrong = f"sk-sage-{secret}"
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": secret}], "max_tokens": 2}
    tools = [{"type": "function", "function": {"name": "f", "description": secret}}]
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": secret}}}
    answers = [
        http.post("/v1/chat/completions", json=body),
        http.post("/v1/chat/completions", json=body | {"tools": tools, "stop": secret, "user": secret}),
        http.post("/v1/chat/completions", json=body | {"temperature": secret}),
        http.post("/v1/chat/completions", json=body | {"response_format": schema}),
        http.post("/v1/chat/completions", content=f'{{"messages": "{secret}"'.encode()),
        http.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {wrong}"}),
        http.get(f"/v1/models?key={secret}"),
        http.post("/v1/audio/speech", json={"model": "tts-1", "input": secret}),
        http.post("/v1/audio/speech", json={"model": "tts-1", "input": secret, "voice": secret}),
        http.post(
            "/v1/audio/transcriptions",
            data={"model": "whisper-1", "prompt": secret},
            files={"file": (f"{secret}.mp3", fox)},
        ),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 400, 400, 400, 401, 200, 200, 400, 200]
    last = answers[-1].headers["x-request-id"]
    until(lambda: server.lines(last), "the last request is in the log", within=10)
    for private in (server.key, secret):
        assert private not in server.log
    assert secret not in server.said
