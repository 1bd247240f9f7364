"""Heads and bodies that are large, heavy or wrong: what each costs the others, who ask for /health all the while.

python -m scripts.attacks.bodies [--quick]
"""

import asyncio
import gzip
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx

from scripts.attacks.row import Row
from scripts.attacks.stall import watched
from scripts.attacks.target import FAKE, Target, fake_models, served
from server.accounts.administration import Administration
from server.core import Limits
from server.settings import Settings

MOST_STALL = 0.1
"""Seconds that others may wait at the longest."""
MB = 1_000_000
TIMES = 4
"""How often a case is sent at once."""
TOKENIZE = FAKE.format(task="tokenize")
CHAT = "/v1/chat/completions"
LEAKS = re.compile(
    r"jinja|vllm|pydantic|orjson|starlette|multipart\.|Traceback|\bself\b|object at 0x|[/\\]site-packages|\.py\b",
    re.IGNORECASE,
)
"""Names of internals that no answer has."""


@dataclass(frozen=True, slots=True)
class Case:
    """status: what each request may be answered with. whose: the key; rich, poor, limited or none."""

    name: str
    body: bytes
    path: str = CHAT
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: tuple[int, ...] = (200, 400, 413)
    whose: str = "rich"
    times: int = TIMES


Judge = Callable[[httpx.Response | BaseException, Case], str | None]
"""What is wrong with an answer, in words."""


def _chat(**more: object) -> bytes:
    return json.dumps(
        {"model": "chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 3} | more
    ).encode()


def _padded(inner: bytes) -> bytes:
    """A chat with one more field, whose value is `inner`."""
    return _chat()[:-1] + b', "x": ' + inner + b"}"


def _form(*parts: tuple[str, bytes]) -> bytes:
    head = b"--b\r\nContent-Disposition: form-data; %s\r\n\r\n"
    return b"\r\n".join([*(head % name.encode() + value for name, value in parts), b"--b--\r\n"])


def cases() -> Iterator[Case]:
    """Each is made when it is asked for: together they are hundreds of megabytes."""
    empty = b"[" + b"[]," * (6 * MB - 1) + b"[]]"
    for whose, status in (("none", (401,)), ("poor", (402,)), ("limited", (429,))):
        yield Case(f"16 bodies of 18 MB of [], key: {whose}", _padded(empty), status=status, whose=whose, times=16)
    yield Case("18 MB of []", _padded(empty), status=(400,))
    yield Case("18 MB of {}", _padded(empty.replace(b"[]", b"{}")), status=(400,))
    yield Case(
        "18 MB of keys", _padded(b"{" + b",".join(b'"%d":0' % n for n in range(1_600_000)) + b"}"), status=(400,)
    )
    yield Case("99,000 fields", _padded(b"{" + b",".join(b'"%d":0' % n for n in range(99_000)) + b"}"))
    yield Case("49,000 arrays", _padded(b"[" + b",".join([b"[]"] * 49_000) + b"]"))
    yield Case("18 MB of numbers", _padded(b"[" + b"1," * (9 * MB) + b"1]"), status=(400,))
    yield Case("299,000 numbers", _padded(b"[" + b"1.25e-7," * 299_000 + b"1]"))
    yield Case("18 MB in one text", _padded(b'"' + b"a, b [" * (3 * MB) + b'"'), status=(200,))
    yield Case("18 MB of escapes", _padded(b'"' + b"\\u0416" * (3 * MB) + b'"'), status=(200,))
    yield Case("18 MB of backslashes", _padded(b'"' + b"\\\\" * (9 * MB) + b'"'), status=(200,))
    yield Case("18 MB of brackets in a text", _padded(b'"' + b"[" * (18 * MB) + b'"'), status=(200,))
    yield Case("18 MB, one wrong byte at the end", _padded(b'"' + b"a" * (18 * MB) + b'"')[:-1] + b"!", status=(400,))
    # In long words: those of a prompt are what the fake engine counts, in the event loop.
    yield Case(
        "a prompt of 18 MB", _chat(messages=[{"role": "user", "content": ("a" * 999 + " ") * (18 * MB // 1000)}])
    )
    yield Case("4 million stops", _chat(stop=["a"] * 4_000_000), status=(400,))
    yield Case("290,000 stops", _chat(stop=["a"] * 290_000), status=(400,))
    yield Case("a stop of 5 MB", _chat(stop=["a" * 5 * MB]), status=(400,))
    yield Case("2,000 messages", _chat(messages=[{"role": "user", "content": "hello"}] * 2000))
    yield Case("20,000 messages", _chat(messages=[{"role": "user", "content": "hello"}] * 20_000), status=(400,))
    part = {"type": "text", "text": "a"}
    yield Case("9,900 content parts", _chat(messages=[{"role": "user", "content": [part] * 9900}]))
    yield Case("40,000 content parts", _chat(messages=[{"role": "user", "content": [part] * 40_000}]), status=(400,))
    wide = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(20_000)}}
    yield Case(
        "a function of 20,000 properties",
        _chat(tools=[{"type": "function", "function": {"name": "f", "parameters": wide}}]),
    )
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "[" + "[]," * (4 * MB) + "[]]"}}
    yield Case(
        "earlier calls' arguments of 12 MB of []",
        _chat(messages=[{"role": "assistant", "tool_calls": [call]}]),
        status=(400,),
    )
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"description": "a" * 15 * MB}}}
    yield Case("a schema of 15 MB", _chat(response_format=schema), status=(400,))
    long = {"type": "object", "description": "a" * 15 * MB}
    yield Case(
        "a function's schema of 15 MB",
        _chat(tools=[{"type": "function", "function": {"name": "f", "parameters": long}}]),
        status=(400,),
    )
    yield Case(
        "400,000 template arguments", _chat(chat_template_kwargs={f"k{n}": 0 for n in range(400_000)}), status=(400,)
    )
    yield Case(
        "40,000 template arguments", _chat(chat_template_kwargs={f"k{n}": 0 for n in range(40_000)}), status=(400,)
    )
    yield Case("a template argument of 5 MB", _chat(chat_template_kwargs={"k": "a" * 5 * MB}), status=(400,))
    yield Case("99,000 biases", _chat(logit_bias={str(n): 1 for n in range(99_000)}), status=(400,))
    yield Case("a bias's key of 5 MB", _chat(logit_bias={"1" * 5 * MB: 1}), status=(400,))
    yield Case("a pattern of 250 kB", _chat(structured_outputs={"regex": "a" * 250_000}))
    yield Case("metadata of 99,000 entries", _chat(metadata={f"k{n}": "v" for n in range(99_000)}))
    yield Case("documents of 18 MB", _chat(documents=[{"text": "a" * 18 * MB}]), status=(400,))
    yield Case(
        "290,000 ids to embed",
        json.dumps({"model": "embedding", "input": list(range(290_000))}).encode(),
        "/v1/embeddings",
    )
    yield Case(
        "2,048 texts to embed",
        json.dumps({"model": "embedding", "input": ["a b c" * 200] * 2048}).encode(),
        "/v1/embeddings",
    )
    yield Case(
        "290,000 prompts",
        json.dumps({"model": "chat", "prompt": ["a"] * 290_000}).encode(),
        "/v1/completions",
        status=(400,),
    )
    yield Case(
        "262,144 ids to text", json.dumps({"model": "tokenize", "tokens": [1] * 262_144}).encode(), "/v1/detokenize"
    )
    packed = gzip.compress(b" " * (19 * MB))
    yield Case("19 MB of blanks in 18 kB of gzip", packed, headers={"content-encoding": "gzip"}, status=(400,))
    bomb = gzip.compress(b" " * (400 * MB))
    yield Case("400 MB of blanks in 390 kB of gzip", bomb, headers={"content-encoding": "gzip"}, status=(413,))
    form = "multipart/form-data; boundary=b"
    audio = "/v1/audio/transcriptions"
    for charset in ("punycode", "idna", "undefined", "utf-7"):
        text = _form(('name="model"', b"a-" + b"b" * (MB - 100)))
        yield Case(f"a form field of 1 MB in {charset}", text, audio, f"{form}; charset={charset}", status=(400,))
    file = ('name="file"; filename="a"', b"\r\n--" * (6 * MB))
    yield Case(
        "a form of 24 MB that looks like its boundary", _form(('name="model"', b"transcription"), file), audio, form
    )
    fields = _form(*((f'name="f{n}"', b"") for n in range(100_000)))
    yield Case("a form of 100,000 fields", fields, audio, form, status=(400,))
    name = _form((f'name="file"; filename="{"a" * 5 * MB}"', b"RIFF"))
    yield Case("a file's name of 5 MB", name, audio, form, status=(400,))


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    """quick: each case once. Starts its own server."""
    with served(folder, configs=fake_models(folder, {"tokenize": TOKENIZE})) as target:
        keys = {"rich": target.key, "none": ""} | await _keys(target)
        yield await _head(target, "a header of 40 MB", b"x: " + b"y" * (40 * MB) + b"\r\n")
        yield await _head(target, "10,000 headers", b"".join(b"x-%d: y\r\n" % n for n in range(10_000)))
        yield await _pipelined(target, "14,000 requests in 250 kB", b"")
        yield await _pipelined(target, "4,000 offers of HTTP/2 in 220 kB", b"Connection: Upgrade\r\nUpgrade: h2c\r\n")
        for case in cases():
            row = await row_of(target, case, keys[case.whose], 1 if quick else case.times, _problem)
            if not row.held:  # once more: a neighbour on the machine is no fault of the server's
                row = await row_of(target, case, keys[case.whose], 1 if quick else case.times, _problem)
            yield row


async def row_of(
    target: Target,
    case: Case,
    key: str,
    times: int,
    problem: Callable[[httpx.Response | BaseException, Case], str | None],
) -> Row:
    before = memory(target)
    async with target.client(key) as client, watched(target.url, target.process.pid) as stall:
        headers = {"content-type": case.kind, **case.headers}
        asks = (client.post(case.path, content=case.body, headers=headers) for _ in range(times))
        answers = await asyncio.gather(*asks, return_exceptions=True)
    grown = memory(target) - before
    problems = {found for answer in answers if (found := problem(answer, case))}
    seen = sorted({answer.status_code for answer in answers if isinstance(answer, httpx.Response)})
    measured = (
        f"{times} at once: {', '.join(map(str, seen))}; others waited {stall.longest * 1000:.0f} ms; {grown:+d} MB"
    )
    measured += "".join(f"; {one}" for one in sorted(problems))
    wanted = f"{' or '.join(map(str, case.status))}; others wait < {MOST_STALL * 1000:.0f} ms"
    return Row(case.name, measured, wanted, not problems and stall.longest < MOST_STALL)


def _problem(answer: httpx.Response | BaseException, case: Case) -> str | None:
    if isinstance(answer, BaseException):
        return f"no answer ({type(answer).__name__})"
    if answer.status_code not in case.status:
        return f"{answer.status_code}: {answer.text[:100]}"
    if answer.status_code < 400:
        return None
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        return "an answer outside the envelope"
    if error.keys() != {"message", "type", "param", "code"} or len(answer.content) > 2000:
        return "an answer outside the envelope"
    leak = LEAKS.search(error["message"])
    return f"a message tells of internals: {leak[0]}" if leak else None


async def _head(target: Target, name: str, headers: bytes) -> Row:
    """A request whose headers are too much, over a connection of its own, without a key."""
    before = memory(target)
    address = httpx.URL(target.url)
    async with watched(target.url, target.process.pid) as stall:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        status = b""
        try:
            writer.write(f"GET /health HTTP/1.1\r\nHost: {address.host}\r\n".encode())
            for start in range(0, len(headers), 65_536):
                writer.write(headers[start : start + 65_536])
                await writer.drain()
            writer.write(b"\r\n")
        except ConnectionError:
            pass  # it has hung up: whatever it said is still to be read
        try:
            status = (await reader.readline()).strip()
        except ConnectionError:
            status = b"a broken connection"
        finally:
            writer.close()
    measured = f"{status.decode()}; others waited {stall.longest * 1000:.0f} ms; {memory(target) - before:+d} MB"
    held = b" 431 " in status and stall.longest < MOST_STALL
    return Row(name, measured, f"431; others wait < {MOST_STALL * 1000:.0f} ms", held)


async def _pipelined(target: Target, name: str, offer: bytes) -> Row:
    """Requests that are sent at once over one connection, without a key; clients may be answered in part."""
    one = b"GET / HTTP/1.1\r\n" + offer + b"\r\n"
    address = httpx.URL(target.url)
    answers = 0
    async with watched(target.url, target.process.pid) as stall:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(one * (250_000 // len(one)))
        try:
            async with asyncio.timeout(30):
                answers = (await reader.read()).count(b"HTTP/1.1 404 ")
        except (ConnectionError, TimeoutError):
            answers = 0
        finally:
            writer.close()
    measured = f"{answers} answers; others waited {stall.longest * 1000:.0f} ms"
    wanted = f"some answers; others wait < {MOST_STALL * 1000:.0f} ms"
    return Row(name, measured, wanted, answers > 0 and stall.longest < MOST_STALL)


async def _keys(target: Target) -> dict[str, str]:
    """poor: of an account without credits; limited: of one that may have no request a minute."""
    keys = {}
    settings = Settings(data_dir=target.folder / "data")
    async with Administration.open(settings) as administration:
        for name, granted, most in (("poor", None, None), ("limited", Decimal(100), 0)):
            limits = Limits(requests_per_minute=most)
            account, _ = await administration.create_account(name, credits=granted, metered=True, limits=limits)
            keys[name] = (await administration.accounts.create_key(account=account.id)).key
    return keys


def memory(target: Target) -> int:
    """Megabytes of the server's process."""
    status = Path(f"/proc/{target.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1000


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async for row in rows(Path(folder), quick="--quick" in sys.argv):
            print(f"{'held' if row.held else 'FAIL'}  {row.attack}: {row.measured}  (wanted: {row.wanted})", flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
