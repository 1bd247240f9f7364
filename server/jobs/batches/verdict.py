"""What is to be done about an answer to a line: a pure function."""

from enum import Enum, auto

import orjson

from server.jobs.batches.executor import LineResult


class Verdict(Enum):
    """DONE: it is the line's answer, or its final refusal. UNPAID: the account has no credits left. WAIT: it may be
    tried again later. FAILED: something broke at it. STOPPING: the server ends."""

    DONE = auto()
    UNPAID = auto()
    WAIT = auto()
    FAILED = auto()
    STOPPING = auto()


def verdict_on(result: LineResult) -> Verdict:
    status = result.status_code
    if status == 402:
        return Verdict.UNPAID
    if status == 429:
        return Verdict.WAIT
    if status < 500:
        return Verdict.DONE
    code, _ = error_of(result)
    if code == "server_shutting_down":
        return Verdict.STOPPING
    if code == "not_served_here":  # waiting would not help
        return Verdict.DONE
    # An engine that hung is a 503 that may be the line's own doing.
    return Verdict.WAIT if status == 503 and code != "engine_hung" else Verdict.FAILED


def error_of(result: LineResult) -> tuple[str, str]:
    """Code and words of an answer that is an error; empty where it has none."""
    try:
        error = orjson.loads(result.body)["error"]
        return str(error.get("code") or ""), str(error.get("message") or "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return "", ""
