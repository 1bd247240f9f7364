"""Bodies of the Ask Sage API that are large, heavy or wrong, in each encoding that it takes: what they cost others.

python -m scripts.attacks.questions [--quick]
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx

from scripts.attacks.bodies import LEAKS, MB, Case, row_of
from scripts.attacks.row import Row
from scripts.attacks.target import fake_models, served

QUERY = "/server/query"
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"


def _question(**fields: object) -> bytes:
    return json.dumps({"message": "hello", "dataset": "none", **fields}).encode()


def _multipart(**fields: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    return b"\r\n".join([*(head % name.encode() + value for name, value in fields.items()), b"--b--\r\n"])


def cases() -> Iterator[Case]:
    """Each is made when it is asked for."""
    turn = {"user": "me", "message": "a"}
    numbers = b"[" + b"1," * 299_000 + b"1]"
    text = ("a" * 999 + " ") * (18 * MB // 1000)
    yield Case("a question of 18 MB as JSON", _question(message=text), QUERY)
    yield Case("a question of 18 MB as a form", b"dataset=none&message=" + text.encode(), QUERY, FORM)
    yield Case("a question of 18 MB in parts", _multipart(dataset=b"none", message=text.encode()), QUERY, MULTIPART)
    yield Case("18 MB of escapes in a form", b"dataset=none&message=" + b"%61" * (6 * MB), QUERY, FORM)
    yield Case("a form of 100,000 fields", b"a=1&" * 100_000, QUERY, FORM, status=(400,))
    yield Case("9 million &", b"a&" * (9 * MB), QUERY, FORM, status=(400,))
    yield Case("99,000 fields as JSON", _question(**{f"k{n}": 0 for n in range(99_000 - 2)}, temperature="hot"), QUERY)
    yield Case("a query string of 15 kB", b"", f"{QUERY}?message=" + quote("%" * 5000), status=(200, 400))
    for name in ("2,048", "49,000"):
        turns = [turn] * int(name.replace(",", ""))
        yield Case(f"{name} turns as JSON", _question(message=turns), QUERY, status=(200, 400))
        fields = _multipart(dataset=b"none", message=json.dumps(turns).encode())
        yield Case(f"{name} turns in a part", fields, QUERY, MULTIPART, status=(200, 400))
    yield Case("300,000 numbers for turns in a form", b"dataset=none&message=" + numbers, QUERY, FORM)
    wrong = b"&".join(b"%s=%s" % (name, numbers) for name in (b"messages", b"tools", b"dataset", b"persona"))
    yield Case("four fields of 300,000 numbers each", wrong, QUERY, FORM, status=(400,))
    names = [f"name{n}" for n in range(100_000)]
    yield Case("100,000 datasets as JSON", _question(dataset=names), QUERY, status=(400,))
    yield Case("100,000 datasets with commas", _question(dataset=",".join(names)), QUERY, status=(400,))
    yield Case("9 million commas for datasets", _question(dataset="a," * (9 * MB)), QUERY, status=(400,))
    values = {"plugin_name": "summarize", "plugin_values": {f"k{n}": "v" for n in range(99_000)} | {"text": "x"}}
    yield Case("a plugin of 99,000 values", json.dumps(values).encode(), "/server/execute-plugin")
    chat = json.dumps({"chat_title": "t", "chats": [[] for _ in range(49_000)]}).encode()
    yield Case("a chat of 49,000 arrays", chat, "/user/append-chat", status=(200,))
    chat = json.dumps({"chat_title": "u", "chats": ["x" * 500_000]}).encode()
    yield Case("a chat of 500 kB, grown too long", chat, "/user/append-chat", status=(200,), times=8)
    files = _multipart(dataset=b"none", message=b"What?")[:-7]
    files += b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n' + text.encode()
    yield Case("a question about a text of 18 MB", files + b"\r\n--b--\r\n", QUERY, MULTIPART)
    yield Case("the text of a file of 18 MB", files + b"\r\n--b--\r\n", "/server/file", MULTIPART, times=2)


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    """quick: each case once. Starts its own server."""
    with served(folder, configs=fake_models(folder), settings={"ASKSAGE_STRICT_STATUS": "true"}) as target:
        for case in cases():
            times = 1 if quick else case.times
            row = await row_of(target, case, target.key, times, _problem)
            if not row.held:  # once more: a neighbour on the machine is no fault of the server's
                row = await row_of(target, case, target.key, times, _problem)
            yield row


def _problem(answer: httpx.Response | BaseException, case: Case) -> str | None:
    if isinstance(answer, BaseException):
        return f"no answer ({type(answer).__name__})"
    if answer.status_code not in case.status:
        return f"{answer.status_code}: {answer.text[:100]}"
    if answer.status_code < 400:
        return None
    told = answer.json()
    if told["status"] != answer.status_code or not told.keys() <= {"response", "status", "error", "param"}:
        return "an answer outside the envelope"
    leak = LEAKS.search(told["response"])
    return f"a message tells of internals: {leak[0]}" if leak else None


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async for row in rows(Path(folder), quick="--quick" in sys.argv):
            print(f"{'held' if row.held else 'FAIL'}  {row.attack}: {row.measured}  (wanted: {row.wanted})", flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
