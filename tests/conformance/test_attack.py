"""A bounded share of scripts/attack_requests: generated bad requests against the application over fake engines."""

from collections.abc import Iterator

import pytest

from tests.conformance.attack import Send, attack, check, in_process
from tests.conformance.bad_requests import BadRequest
from tests.conformance.case import Failed
from tests.conformance.target import Answer
from tests.conformance.worse_requests import ALL_KINDS

EACH = 30


@pytest.fixture(scope="module")
def send() -> Iterator[Send]:
    with in_process() as opened:
        yield opened


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_no_bad_request_is_a_fault(kind: str, send: Send) -> None:
    def told(request: BadRequest, answer: Answer | str) -> None:
        assert not isinstance(answer, str), f"{answer}\n{request}"

    attack(kind, EACH, 12, send, told)


REQUEST = BadRequest("POST", "/v1/chat/completions", {}, b"{}")
JSON = {"content-type": "application/json"}
FAULTS = {
    "a 5xx": (500, JSON, b'{"error": {"message": "m", "type": "server_error", "param": null, "code": null}}'),
    "no envelope": (422, JSON, b'{"detail": []}'),
    "no JSON": (400, {"content-type": "text/plain"}, b"Invalid HTTP request received."),
    "internals": (400, JSON, b'{"error": {"message": "vllm.x", "type": "t", "param": null, "code": null}}'),
    "a code that is a number": (404, JSON, b'{"error": {"message": "m", "type": "t", "param": null, "code": 404}}'),
    "an error as a success": (200, JSON, b'{"error": {"message": "m"}}'),
    "an empty stream": (200, {"content-type": "text/event-stream"}, b""),
    "a torn stream": (200, {"content-type": "text/event-stream"}, b'data: {"a": 1}'),
    "a fault in a stream": (
        200,
        {"content-type": "text/event-stream"},
        b'data: {"error": {"message": "m", "type": "t", "param": null, "code": "internal_error"}}\n\ndata: [DONE]\n\n',
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_seen(name: str) -> None:
    status, headers, body = FAULTS[name]
    import httpx

    with pytest.raises(Failed):
        check(REQUEST, Answer(status, httpx.Headers(headers), body))
