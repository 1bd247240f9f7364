"""Headers. What every answer carries beside its body."""

import re

from tests.conformance.asks import chat, chat_body
from tests.conformance.case import NotServed, case
from tests.conformance.expect import equal, error, ok, that
from tests.conformance.target import Target

DURATION = re.compile(r"^(\d+(\.\d+)?(ms|s|m|h|d))+$")


@case("OpenAI", needs="chat")
def request_id(target: Target) -> None:
    """`x-request-id` is there, begins with `req_`, and is another one for each request."""
    ids = {chat(target, max_tokens=1).headers.get("x-request-id", "") for _ in range(2)}
    that(all(re.fullmatch(r"req_[0-9a-zA-Z-]+", one) for one in ids), f"the ids are {sorted(ids)}")
    equal(len(ids), 2, "the number of ids of two requests")


@case("OpenAI")
def request_id_of_an_error(target: Target) -> None:
    """Errors carry `x-request-id` too: it is what a user reports."""
    for answer in (target.get("/models/none-of-that-name", here=False), target.get("/nowhere", here=False)):
        that(answer.headers.get("x-request-id"), f"HTTP {answer.status} without x-request-id")


@case("OpenAI", needs="chat")
def request_id_of_a_stream(target: Target) -> None:
    """Streams carry `x-request-id`."""
    that(ok(chat(target, stream=True, max_tokens=1)).headers.get("x-request-id"), "no x-request-id")


@case("OpenAI", needs="chat")
def processing_ms(target: Target) -> None:
    """`openai-processing-ms` is a whole number."""
    found = ok(chat(target, max_tokens=1)).headers.get("openai-processing-ms", "missing")
    that(found.isdecimal(), f"openai-processing-ms is {found}")


@case("OpenAI", needs="chat")
def openai_version(target: Target) -> None:
    """`openai-version` is the API's own date."""
    equal(ok(chat(target, max_tokens=1)).headers.get("openai-version"), "2020-10-01", "openai-version")


@case("OpenAI", needs="chat")
def rate_limits(target: Target) -> None:
    """`x-ratelimit-*`, where the server limits, are whole numbers and durations."""
    found = {name: value for name, value in ok(chat(target, max_tokens=1)).headers.items() if "ratelimit" in name}
    if not found:
        raise NotServed("no limits are set")
    for name, value in found.items():
        right = DURATION.match(value) if "-reset-" in name else value.isdecimal()
        that(right, f"{name} is {value}")


@case("RFC 9110 11.6.1")
def challenge(target: Target) -> None:
    """A 401 names the scheme that it wants: `WWW-Authenticate: Bearer`."""
    if not target.key:
        raise NotServed("asks for no key")
    answer = target.get("/models", key="sk-wrong")
    error(answer, 401)
    that(answer.headers.get("www-authenticate", "").startswith("Bearer"), "no WWW-Authenticate: Bearer")


@case("RFC 9110 10.2.1")
def allow(target: Target) -> None:
    """A 405 says in `Allow` which methods there are."""
    answer = target.send("PATCH", "/chat/completions", here=False, json={})
    error(answer, 405)
    that("POST" in answer.headers.get("allow", ""), f"Allow is {answer.headers.get('allow')}")


@case("OpenAI", needs="chat")
def not_stored(target: Target) -> None:
    """A stream is `Cache-Control: no-cache` and not compressed, so that each piece goes through proxies at once."""
    answer = target.post(
        "/chat/completions", chat_body(target, stream=True, max_tokens=2), headers={"accept-encoding": "gzip, br"}
    )
    headers = ok(answer).headers
    that("no-cache" in headers.get("cache-control", ""), f"Cache-Control is {headers.get('cache-control')}")
    that("content-encoding" not in headers, f"the stream is compressed: {headers.get('content-encoding')}")


@case("OpenAI", needs="chat")
def not_buffered(target: Target) -> None:
    """A stream is `X-Accel-Buffering: no`, which nginx obeys."""
    equal(ok(chat(target, stream=True, max_tokens=1)).headers.get("x-accel-buffering"), "no", "X-Accel-Buffering")


@case("RFC 9110 8.6", needs="chat")
def length(target: Target) -> None:
    """`Content-Length` of a whole answer is its number of bytes."""
    answer = ok(chat(target, max_tokens=2))
    equal(answer.headers.get("content-length"), str(len(answer.raw)), "Content-Length")
