"""Runs cases against one server."""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from tests.conformance.case import Case, Failed, NotServed
from tests.conformance.target import Target

Outcome = Literal["pass", "fail", "not served"]
LONGEST_REASON = 200
IDS = "chatcmpl|cmpl|req|call|fp|embd|rerank|score|chatcmpl-tool|resp|msg|fc|rs|conv|file|batch"
"""What the names of things begin with, before what differs from run to run."""


@dataclass(frozen=True, slots=True)
class Result:
    """reason: in one line; empty for a pass."""

    case: Case
    outcome: Outcome
    reason: str = ""


def judge(target: Target, case: Case) -> Result:
    """One case. Whatever it raises is an outcome."""
    try:
        for kind in case.needs:
            target.model(kind)
        case.check(target)
    except NotServed as reason:
        return Result(case, "not served", one_line(str(reason)))
    except Failed as reason:
        return Result(case, "fail", one_line(str(reason)))
    except Exception as error:  # noqa: BLE001 - an answer of a form that the case didn't think of
        return Result(case, "fail", one_line(f"an answer of another form: {type(error).__name__}: {error}"))
    return Result(case, "pass")


def run(
    target: Target, cases: Sequence[Case], *, at_once: int = 4, told: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Results in the order of the cases. Up to `at_once` run together; those that must be alone come after.

    told: called with each result, as it comes.
    """

    def one(case: Case) -> Result:
        result = judge(target, case)
        told(result)
        return result

    found: dict[str, Result] = {}
    with ThreadPoolExecutor(at_once) as pool:
        for result in pool.map(one, [case for case in cases if not case.alone]):
            found[result.case.id] = result
    for case in cases:
        if case.alone:
            found[case.id] = one(case)
    return [found[case.id] for case in cases]


def one_line(reason: str) -> str:
    """Without what differs from run to run: ids, addresses, times."""
    text = " ".join(reason.split())
    text = re.sub(r"https?://[\w.:\[\]-]+", "http://…", text)
    text = re.sub(rf"\b({IDS})[-_][0-9a-zA-Z-]{{6,}}", r"\1-…", text)
    text = re.sub(r"\b1[7-9]\d{8}\b", "…", text)  # seconds since 1970
    text = re.sub(r"\b[0-9a-f]{16,}\b", "…", text)
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 1]}…"
