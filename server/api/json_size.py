"""How much there is in a body of JSON, found out before any of it is made. Bytes in, no decision but a refusal.

orjson makes all of a body in one go, in which no other thread runs. Texts are cheap: 18 MB of them take 20 to 35 ms.
What has many parts is not: a million empty arrays, 3 MB, take 200 ms, and 300,000 fields 60 ms (taken by hand, orjson
3.13).
"""

import re

from server.errors import InvalidRequest

DEEPEST = 200
"""Arrays and objects within each other. At 980 pydantic's words for a wrong value run out of Python's stack."""
MOST_VALUES = 300_000
"""Elements of arrays and fields of objects, all together: some more than the token ids of /detokenize."""
MOST_FIELDS = 100_000
"""Of all objects. Each has a name that is made besides its value."""
MOST_CONTAINERS = 50_000
"""Arrays and objects. A chat of 128 functions has some thousands; 10,000 content parts have as many and 10,000 more."""

PIECE = 256 * 1024
"""Bytes that are looked at in one go."""
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_BACKSLASHES = re.compile(rb"\\*")


def check(body: bytes) -> None:
    """Raises InvalidRequest for a body with more in it, or more within each other, than is read. Other threads run
    meanwhile; what is no JSON may pass."""
    brackets, commas = body.count(b"[") + body.count(b"{"), body.count(b",")
    if brackets <= DEEPEST and brackets + commas <= MOST_FIELDS:
        return  # even if none of them stands in a text
    within_text = False
    containers = values = fields = depth = 0
    start = 0
    while start < len(body):
        end = start + PIECE
        if body[end - 1 : end] == b"\\":  # a piece ends with no half of an escape
            end = _BACKSLASHES.match(body, end).end() + 1  # type: ignore[union-attr] # it matches the empty text too
        texts = body[start:end].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(texts[within_text::2])
        within_text ^= len(texts) % 2 == 0
        found = outside.translate(None, _NO_BRACKETS)
        containers += found.count(b"[") + found.count(b"{")
        values += outside.count(b",")
        fields += outside.count(b":")
        if containers > MOST_CONTAINERS:
            raise _refused(f"has more than {MOST_CONTAINERS} arrays and objects")
        if fields > MOST_FIELDS:
            raise _refused(f"has more than {MOST_FIELDS} fields")
        if containers + values > MOST_VALUES:
            raise _refused(f"has more than {MOST_VALUES} values")
        for bracket in found:
            depth += 1 if bracket in b"[{" else -1
            if depth > DEEPEST:
                raise deep()
            if depth < 0:
                return  # no JSON
        start = end


def deep() -> InvalidRequest:
    return _refused(f"is nested deeper than {DEEPEST} levels")


def _refused(what: str) -> InvalidRequest:
    return InvalidRequest(f"The JSON body of your request {what}.", code="invalid_json")
