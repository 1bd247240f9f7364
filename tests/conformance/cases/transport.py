"""Transport. URLs, bodies and connections, before any endpoint reads them."""

import gzip
import json
import re
import zlib
from collections.abc import Iterator

from tests.conformance.asks import chat_body, completed, read_chat, text
from tests.conformance.case import case
from tests.conformance.expect import among, equal, error, ok, that
from tests.conformance.target import Target

JSON = {"content-type": "application/json"}


def raw_chat(target: Target, *headers: str, version: str = "1.1") -> bytes:
    """A chat as bytes on the wire; the connection closes after it."""
    body = json.dumps(chat_body(target, max_tokens=2)).encode()
    head = [f"POST {target.prefix}/chat/completions HTTP/{version}", "Host: localhost", *headers]
    head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if target.key:
        head.append(f"Authorization: Bearer {target.key}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def status_of(received: bytes) -> int:
    """Of the last answer among these bytes: an interim 100 may come before it."""
    found: list[bytes] = re.findall(rb"^HTTP/1\.[01] (\d{3})", received, re.MULTILINE)
    that(found, f"no HTTP answer: {received[:80]!r}")
    return int(found[-1])


@case("OpenAI")
def doubled_slash(target: Target) -> None:
    """A doubled slash after the base (`/v1//models`) is read as one."""
    ok(target.get("//models", here=False))


@case("OpenAI")
def trailing_slash(target: Target) -> None:
    """A trailing slash is no other URL, and there is no redirect."""
    ok(target.get("/models/", here=False))


@case("OpenAI", needs="chat")
def trailing_slash_of_a_post(target: Target) -> None:
    """A trailing slash after a POST's URL loses no body."""
    read_chat(target, target.post("/chat/completions/", chat_body(target, max_tokens=2), here=False))


@case("reports")
def without_version(target: Target) -> None:
    """Without /v1 the route answers, or the error says what is missing."""
    answer = target.get(f"{target.root}/models", here=False)
    if answer.status != 200:
        value = error(answer, 404)
        that("/v1" in value.message, f"the error does not tell of /v1: {value.message}")


@case("reports", needs="chat")
def upgrade_to_h2c(target: Target) -> None:
    """An offer of HTTP/2 (`Upgrade: h2c`, as Java's client and `curl --http2` make it) is ignored, the body is not."""
    offer = ("Connection: Upgrade, HTTP2-Settings, close", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
    received = target.spoken(raw_chat(target, *offer))
    equal(status_of(received), 200, "the status")
    that(b"chat.completion" in received, "the answer is no chat completion")


@case("RFC 9110 10.1.1", needs="chat")
def expect_continue(target: Target) -> None:
    """`Expect: 100-continue` (curl sends it for large bodies) is answered."""
    received = target.spoken(raw_chat(target, "Expect: 100-continue", "Connection: close"))
    equal(status_of(received), 200, "the status")


@case("RFC 9112 2.5", needs="chat")
def http_1_0(target: Target) -> None:
    """A client of HTTP/1.0 is answered without chunks."""
    received = target.spoken(raw_chat(target, version="1.0"))
    equal(status_of(received), 200, "the status")
    that(b"transfer-encoding" not in received.partition(b"\r\n\r\n")[0].lower(), "an HTTP/1.0 client got chunks")


@case("OpenAI, reports")
def malformed_request(target: Target) -> None:
    """What is no HTTP gets a 400 and a closed connection; its body, if there is one, is the envelope."""
    received = target.spoken(b"GET /v1/models\x00 HTTP/9.9\r\nbroken header\r\n\r\n")
    if not received:
        return
    equal(status_of(received), 400, "the status")
    body = received.partition(b"\r\n\r\n")[2]
    that(not body or body.lstrip().startswith(b'{"error"'), f"outside the envelope: {body[:60]!r}")


@case("RFC 9112 7.1", needs="chat")
def chunked_body(target: Target) -> None:
    """A body without a length, in chunks, is read."""
    body = json.dumps(chat_body(target, max_tokens=2)).encode()

    def pieces() -> Iterator[bytes]:
        yield body[:20]
        yield body[20:]

    ok(target.send("POST", "/chat/completions", headers=JSON, content=pieces()))


@case("reports", needs="chat")
def gzip_body(target: Target) -> None:
    """A body compressed by gzip is decoded, or refused with 415."""
    body = gzip.compress(json.dumps(chat_body(target, max_tokens=2)).encode())
    answer = target.send("POST", "/chat/completions", headers=JSON | {"content-encoding": "gzip"}, content=body)
    if answer.status != 200:
        error(answer, 415)


@case("reports", needs="chat")
def deflate_body(target: Target) -> None:
    """A body compressed by deflate is decoded, or refused with 415."""
    body = zlib.compress(json.dumps(chat_body(target, max_tokens=2)).encode())
    answer = target.send("POST", "/chat/completions", headers=JSON | {"content-encoding": "deflate"}, content=body)
    if answer.status != 200:
        error(answer, 415)


@case("reports", needs="chat")
def torn_gzip_body(target: Target) -> None:
    """A compressed body that is cut off is the client's fault: 400, or 415."""
    body = gzip.compress(json.dumps(chat_body(target)).encode())[:-9]
    headers = JSON | {"content-encoding": "gzip"}
    error(target.send("POST", "/chat/completions", headers=headers, content=body), (400, 415))


@case("reports", needs="chat")
def bomb_of_gzip(target: Target) -> None:
    """A small body that unpacks to 256 MiB is refused, not unpacked."""
    pieces = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    body = b"".join(pieces.compress(block) for _ in range(256)) + pieces.flush()
    headers = JSON | {"content-encoding": "gzip"}
    error(target.send("POST", "/chat/completions", headers=headers, content=body), (400, 413, 415))


@case("RFC 9110 8.4", needs="chat")
def unknown_encoding(target: Target) -> None:
    """A `Content-Encoding` that the server doesn't know is 415, or 400."""
    headers = JSON | {"content-encoding": "x-unknown"}
    body = json.dumps(chat_body(target)).encode()
    error(target.send("POST", "/chat/completions", headers=headers, content=body), (400, 415))


@case("OpenAI", needs="chat")
def any_accept(target: Target) -> None:
    """Whatever `Accept` says, the answer is JSON: it is not enforced."""
    body = chat_body(target, max_tokens=2)
    for accepted in ("text/html", "application/octet-stream"):
        answer = ok(target.post("/chat/completions", body, headers={"accept": accepted}))
        equal(answer.media_type, "application/json", "the content type")


@case("OpenAI", needs="chat")
def charset(target: Target) -> None:
    """`application/json; charset=utf-8` is JSON."""
    body = json.dumps(chat_body(target, max_tokens=2)).encode()
    headers = {"content-type": "application/json; charset=utf-8"}
    ok(target.send("POST", "/chat/completions", headers=headers, content=body))


@case("OpenAI", needs="chat")
def other_content_type(target: Target) -> None:
    """JSON under another content type is read, or refused in the envelope."""
    body = json.dumps(chat_body(target, max_tokens=2)).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        answer = target.send("POST", "/chat/completions", headers={"content-type": kind}, content=body)
        if answer.status != 200:
            error(answer, (400, 415))


@case("OpenAI", needs="chat")
def sdk_headers(target: Target) -> None:
    """The headers of the SDKs (`x-stainless-*`, organization, project) change nothing."""
    names = ("lang", "package-version", "os", "arch", "runtime", "runtime-version", "async", "retry-count")
    headers = {f"x-stainless-{name}": "1" for name in names}
    headers |= {"openai-organization": "org-1", "openai-project": "proj_1", "user-agent": "OpenAI/Python 3.54.0"}
    ok(target.post("/chat/completions", chat_body(target, max_tokens=2), headers=headers))


@case("RFC 8259 8.1", needs="chat")
def unicode_body(target: Target) -> None:
    """UTF-8 in a body, escaped or not, is the same text."""
    words = "Grüße, 世界 🌍 — ﷽"
    body = chat_body(target, words, max_tokens=2)
    counts = []
    for escaped in (True, False):
        content = json.dumps(body, ensure_ascii=escaped).encode()
        value = read_chat(target, target.send("POST", "/chat/completions", headers=JSON, content=content))
        that(value.usage, "no usage")
        counts.append(value.usage.prompt_tokens if value.usage else 0)
    equal(counts[0], counts[1], "the number of prompt tokens, once escaped and once not,")


@case("RFC 8259 8.2", needs="chat")
def lone_surrogate(target: Target) -> None:
    """Half of a surrogate pair in a string is a 400 or some text, never a fault of the server."""
    content = json.dumps(chat_body(target, "half \ud83d of one", max_tokens=2)).encode()
    answer = target.send("POST", "/chat/completions", headers=JSON, content=content)
    if answer.status != 200:
        error(answer, 400)


@case("RFC 8259 7", needs="chat")
def nul_in_text(target: Target) -> None:
    """A zero character in a message is a 400 or some text, never a fault of the server."""
    content = json.dumps(chat_body(target, "zero \0 inside", max_tokens=2)).encode()
    answer = target.send("POST", "/chat/completions", headers=JSON, content=content)
    if answer.status != 200:
        error(answer, 400)


@case("reports")
def head(target: Target) -> None:
    """HEAD of a route that answers GET has the same status and no body."""
    answer = target.send("HEAD", "/models", here=False)
    equal(answer.status, 200, "the status")
    equal(answer.raw, b"", "the body")


@case("reports")
def options(target: Target) -> None:
    """OPTIONS is answered, or refused in the envelope."""
    answer = target.send("OPTIONS", "/models", here=False, headers={"origin": "http://localhost:3000"})
    if answer.status not in (200, 204):
        error(answer, (400, 403, 404, 405))


@case("vLLM")
def version(target: Target) -> None:
    """GET /version at the root tells the version, without a key."""
    answer = target.get(f"{target.root}/version", key="")
    that(isinstance(ok(answer).json().get("version"), str), f"no version: {answer.text[:80]}")


@case("sagehold")
def openapi(target: Target) -> None:
    """GET /openapi.json at the root describes the chat route, its body and its answer."""
    answer = ok(target.get(f"{target.root}/openapi.json"))
    document = answer.json()
    that(str(document.get("openapi", "")).startswith("3."), "it is no OpenAPI document of version 3")
    paths = document.get("paths", {})
    route = paths.get("/v1/chat/completions", {}).get("post")
    that(route, f"it lacks POST /v1/chat/completions; it has {len(paths)} paths")
    that("requestBody" in route, "the chat route has no requestBody")
    that(route["requestBody"]["content"].get("application/json", {}).get("schema"), "the body has no schema")


@case("OpenAI", needs="chat", alone=True)
def one_connection(target: Target) -> None:
    """A connection serves one request after the other, an error between two answers too."""
    first = text(completed(target, max_tokens=4))
    error(target.post("/chat/completions", {"model": target.model("chat")}), 400)
    equal(text(completed(target, max_tokens=4)), first, "the greedy answer, asked again,")


@case("OpenAI", needs="chat")
def utf8_answer(target: Target) -> None:
    """The answer is UTF-8 and says JSON as its type, without a second charset."""
    answer = ok(target.post("/chat/completions", chat_body(target, "Say ü.", max_tokens=4)))
    answer.raw.decode()
    among(answer.headers.get("content-type"), ("application/json", "application/json; charset=utf-8"), "the type")


@case("OpenAI", needs="chat")
def huge_body(target: Target) -> None:
    """A body of 48 MB is read, or refused in the envelope."""
    answer = target.post("/chat/completions", chat_body(target, max_tokens=1, padding="x" * 48_000_000))
    if answer.status != 200:
        error(answer, (400, 413))
