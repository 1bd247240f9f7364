"""What cases ask of an answer. Each raises Failed with the reason in one line."""

import json
from collections.abc import Collection
from typing import Any

from openai.types.shared import ErrorObject

from tests.conformance.case import Failed
from tests.conformance.strict import strictly
from tests.conformance.target import Answer

INTERNALS = (
    *("Traceback", "pydantic", "/site-packages/", '.py"', "ValidationError", "<class ", "object at 0x", "vllm."),
    *("/home/", "/tmp/", "Grammar error", "Exception", "NoneType", "Unimplemented"),
)
"""What no client should read in an error: names and places of the program."""


def that(holds: Any, reason: str) -> None:
    if not holds:
        raise Failed(reason)


def equal(found: Any, wanted: Any, what: str) -> None:
    if found != wanted:
        raise Failed(f"{what} is {short(found)}, not {short(wanted)}")


def among(found: Any, wanted: Collection[Any], what: str) -> None:
    if found not in wanted:
        raise Failed(f"{what} is {short(found)}, not one of {', '.join(map(short, wanted))}")


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def ok(answer: Answer) -> Answer:
    """200, and JSON, text or audio as it may be."""
    if answer.status != 200:
        raise Failed(f"HTTP {answer.status}: {answer.raw[:200].decode(errors='replace')}")
    return answer


def error(answer: Answer, status: int | Collection[int], *, param: str | None = None, code: str | None = None) -> Any:
    """A refusal in the envelope, of that status; of that param and code, where they are given.

    Returns the error. Every refusal is checked for its form, its content type, and for internals of the program.
    """
    wanted = {status} if isinstance(status, int) else set(status)
    if answer.status not in wanted:
        shown = answer.raw[:160].decode(errors="replace")
        raise Failed(f"HTTP {answer.status}, not {' or '.join(map(str, sorted(wanted)))}: {shown}")
    if answer.media_type != "application/json":
        raise Failed(f"HTTP {answer.status} of type {answer.media_type or 'none'}: {answer.raw[:80]!r}")
    body = answer.json()
    if not isinstance(body, dict) or not isinstance(body.get("error"), dict):
        raise Failed(f"HTTP {answer.status} without an error object: {short(body)}")
    found = body["error"]
    missing = {"message", "type", "param", "code"} - found.keys()
    if missing:
        raise Failed(f"the error lacks {', '.join(sorted(missing))}: {short(found)}")
    value = strictly(ErrorObject, json.dumps(found), "the error")
    that(value.message.strip(), "the error has no message")
    for word in INTERNALS:
        that(word not in value.message, f"the message shows internals: {short(value.message)}")
    if param is not None:
        equal(value.param, param, "the error's param")
    if code is not None:
        equal(value.code, code, "the error's code")
    return value


def refused_or_ok(answer: Answer, *params: str) -> Answer | None:
    """The answer, or None where it is a 400 that names one of these fields: what is not honoured is refused by name."""
    if answer.status == 200:
        return answer
    value = error(answer, 400)
    named = [name for name in params if name in (value.param or "") or name in value.message]
    that(named, f"HTTP 400 that names none of {', '.join(params)}: {short(value.message)}")
    return None
