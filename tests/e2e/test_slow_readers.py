"""A client that asks for a long answer and then reads nothing, on the one live server."""

import socket
from contextlib import closing

import httpx
import pytest
from openai import OpenAI

from tests.e2e.live import CHAT, LiveServer, until
from tests.e2e.test_faults import ENDLESS, greedy, idle, request_bytes

MADE = "sagehold_completion_tokens_total"
"""What was generated, which is what is paid."""


def test_who_stops_reading_is_cut_off_and_pays_what_was_made(server: LiveServer, sdk: OpenAI) -> None:
    idle(server)
    before = server.metric(MADE, CHAT)
    url = httpx.URL(server.url)
    # Every token has its twenty likeliest others with it, so that the buffers of both ends are soon full.
    asked = ENDLESS | {"stream": True, "logprobs": True, "top_logprobs": 20, "n": 4}
    with closing(socket.socket()) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(60)
        line.connect((url.host, url.port))
        line.sendall(request_bytes(server, "/v1/chat/completions", asked))
        assert line.recv(100).startswith(b"HTTP/1.1 200")
        assert server.running(CHAT) > 0
        assert greedy(sdk) == "The capital of Japan is Tokyo."  # others go on beside it
        others = 8  # tokens of that answer at most
        until(lambda: server.running(CHAT) == 0, "the work is ended", within=60)
        with pytest.raises(ConnectionResetError):
            rest(line)
    # Sixteen thousand tokens were asked for. What the buffers hold was made, and what came until they were given up.
    until(lambda: server.metric(MADE, CHAT) > before + others, "what was made is paid", within=10)
    assert server.metric(MADE, CHAT) - before < 4 * 1000


def rest(line: socket.socket) -> None:
    """Take all that comes. Raises ConnectionResetError."""
    while line.recv(65536):
        pass
