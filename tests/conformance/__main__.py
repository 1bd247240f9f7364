"""`python -m tests.conformance --base-url URL`: each documented behaviour against a server, a line a case.

Ends with 1 if a case failed. What it needs beside Python: httpx, openai and openresponses-types (for their
types), jsonschema, pillow, av.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.case import Case, all_cases
from tests.conformance.run import Result, run
from tests.conformance.target import Target

KINDS = (
    *("chat", "alias", "slashed", "mode", "vision", "hearing", "talking", "embedding", "rerank", "image", "gpt_image"),
    *("speech", "transcription", "gpt_transcription"),
)
"""Kinds of models. alias: another public name of the chat model; slashed: one with a slash; mode: one with a suffix for
a quality mode. gpt_image: one that answers base64 always."""


def models(words: Sequence[str]) -> dict[str, str]:
    """`chat=a,image=b` and more of that. Raises ValueError."""
    pairs = [pair.strip() for word in words for pair in word.split(",") if pair.strip()]
    found = dict(pair.split("=", 1) for pair in pairs)
    if unknown := found.keys() - set(KINDS):
        raise ValueError(f"unknown kinds: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    return found


def chosen(cases: Sequence[Case], only: Sequence[str]) -> list[Case]:
    """Those whose id begins with one of these words, or all."""
    return [case for case in cases if not only or any(case.id.startswith(word) for word in only)]


def tell(result: Result) -> None:
    mark = {"pass": "✓", "fail": "✗", "not served": "-"}[result.outcome]
    sys.stdout.write(f"{mark} {result.case.id}{f': {result.reason}' if result.reason else ''}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--base-url", default=os.environ.get("OPENAI_BASE_URL"), help="with its /v1 (OPENAI_BASE_URL)")
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY", ""), help="OPENAI_API_KEY")
    parser.add_argument("--model", action="append", default=[], metavar="KIND=NAME", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--at-once", type=int, default=4, help="cases that run together")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--list", action="store_true", help="show the cases and end")
    parser.add_argument("only", nargs="*", help="beginnings of the ids of the cases to run")
    asked = parser.parse_args(arguments)
    cases = chosen(all_cases(), asked.only)
    if asked.list:
        for case in cases:
            print(f"{case.id}: {case.title} ({case.source})")
        return 0
    if not asked.base_url:
        parser.error("--base-url is missing")
    try:
        names = models(asked.model)
    except ValueError as error:
        parser.error(f"--model: {error}")

    with Target(asked.base_url, asked.api_key, names) as target:
        results = run(target, cases, at_once=asked.at_once, told=tell)
    counts = Counter(result.outcome for result in results)
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['not served']} not served, of {len(results)}")
    for kind, fields in sorted(target.added.items()):
        print(f"fields beyond the SDK's {kind}: {', '.join(sorted(fields))}")
    if asked.json:
        rows = [{"id": one.case.id, "outcome": one.outcome, "reason": one.reason} for one in results]
        asked.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return 1 if counts["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
