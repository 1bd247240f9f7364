"""`scripts/attack_requests`: thousands of generated bad requests, and what no answer to them may be.

In process over fake engines, or against a server that runs. No answer may be a 5xx, be outside the error envelope, show
internals, hang, or be a stream that is not one.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.conformance.bad_requests import KINDS, BadRequest
from tests.conformance.case import Failed
from tests.conformance.expect import INTERNALS, error, short, that
from tests.conformance.run import one_line
from tests.conformance.target import Answer

HANG = 20.0
"""Seconds after which an answer counts as hung."""
Send = Callable[[BadRequest], Answer]


def check(request: BadRequest, answer: Answer) -> None:
    """Raises Failed."""
    if answer.status >= 500:
        raise Failed(f"HTTP {answer.status}: {answer.raw[:120].decode(errors='replace')}")
    if answer.status >= 400:
        if request.method != "HEAD":
            error(answer, answer.status)
    elif answer.media_type == "text/event-stream":
        events = answer.events()
        that(events, "an empty stream")
        for event in events:
            if event.data != "[DONE]":
                found = event.json()
                code = (found.get("error") or {}).get("code")
                that(code not in ("internal_error", "engine_failed"), f"a fault in the stream: {short(found)}")
    elif answer.media_type == "application/json" and answer.raw:
        that("error" not in answer.json(), f"HTTP {answer.status} with an error in it")
    text = answer.raw[:4000].decode(errors="replace") if answer.status >= 400 else ""
    for word in INTERNALS:
        that(word not in text, f"the answer shows internals ({word}): {short(text)}")


def attack(kind: str, count: int, number: int, send: Send, told: Callable[[BadRequest, Answer | str], None]) -> None:
    """Send `count` requests of a kind. told: each request and its answer, or what is wrong with it."""

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(KINDS[kind])
    def one(request: BadRequest) -> None:
        try:
            answer = send(request)
            check(request, answer)
        except Failed as reason:
            told(request, one_line(str(reason)))
        else:
            told(request, answer)

    one()


@contextmanager
def in_process() -> Iterator[Send]:
    """Our own application over fake engines, as `FakeServer` makes it."""
    from server.settings import Settings
    from server.testing import FakeServer

    with TemporaryDirectory() as name, asyncio.Runner() as runner:
        folder = Path(name)
        chosen = Settings(data_dir=folder / "data", models_dir=folder / "models", model_configs=folder / "configs")
        fake = FakeServer(chosen)
        runner.run(fake.__aenter__())
        client = fake.client()

        async def send(request: BadRequest) -> Answer:
            try:
                async with asyncio.timeout(HANG):
                    found = await client.request(
                        request.method, request.path, headers=request.headers, content=request.body
                    )
            except TimeoutError:
                raise Failed(f"no answer in {HANG:g} s") from None
            except Exception as raised:  # noqa: BLE001 - what the application didn't answer
                raise Failed(f"raised {type(raised).__name__}: {raised}") from None
            return Answer(found.status_code, found.headers, found.content)

        try:
            yield lambda request: runner.run(send(request))
        finally:
            runner.run(client.aclose())
            runner.run(fake.__aexit__())


@contextmanager
def over_http(base: str, key: str, model: str) -> Iterator[Send]:
    """A server that runs. base: without /v1. model: takes the place of the fake one's name."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=base, headers=headers, timeout=HANG, trust_env=False) as client:

        def send(request: BadRequest) -> Answer:
            body = request.body.replace(b"everything", model.encode())
            try:
                found = client.request(request.method, request.path, headers=request.headers, content=body)
            except httpx.TimeoutException:
                raise Failed(f"no answer in {HANG:g} s") from None
            except httpx.TransportError as raised:
                raise Failed(f"the connection broke: {type(raised).__name__}") from None
            return Answer(found.status_code, found.headers, found.content)

        yield send


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/attack_requests", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="requests, in equal shares of the kinds")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--base-url", help="a server that runs, without /v1; in process over fake engines otherwise")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--model", default="everything")
    parser.add_argument("--markdown", type=Path, help="write the figures here, for docs/conformance.md")
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}")
    asked = parser.parse_args()
    kinds = asked.kinds or list(KINDS)
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    faults: dict[str, BadRequest] = {}
    opened = over_http(asked.base_url, asked.api_key, asked.model) if asked.base_url else in_process()
    begun = time.monotonic()
    with opened as send:
        for kind in kinds:

            def told(request: BadRequest, answer: Answer | str, kind: str = kind) -> None:
                if isinstance(answer, str):
                    counts[kind]["fault"] += 1
                    kept = faults.setdefault(f"{kind}: {answer}", request)
                    if len(request.body) < len(kept.body):
                        faults[f"{kind}: {answer}"] = request
                else:
                    counts[kind][f"{answer.status // 100}xx"] += 1

            attack(kind, asked.count // len(kinds), asked.seed, send, told)
            print(f"{kind}: {dict(sorted(counts[kind].items()))}", flush=True)
    total = sum(map(sum, (one.values() for one in counts.values())))
    print(f"{total} requests, seed {asked.seed}, {time.monotonic() - begun:.0f} s, {len(faults)} kinds of faults")
    for reason, request in faults.items():
        print(f"\n{reason}\n  {request.method} {request.path} {json.dumps(dict(request.headers))}")
        print(f"  {request.body[:600]!r}")
    if asked.markdown:
        asked.markdown.write_text(markdown(counts, asked.seed, len(faults), bool(asked.base_url)))
    return 1 if faults else 0


def markdown(counts: dict[str, Counter[str]], number: int, faults: int, real: bool) -> str:
    total = sum(map(sum, (one.values() for one in counts.values())))
    where = "against a server with the starter models" if real else "in process over fake engines"
    lines = [
        "## Bad requests",
        "",
        f"{total:,} requests that hypothesis generated with seed {number} (`scripts/attack_requests`), {where}:",
        f"{faults or 'no'} kinds of faults. A fault is a 5xx, a body outside of the error envelope, a word of",
        f"the program's internals, an answer that takes {HANG:g} s, or a stream that is not one.",
        "",
        "| kind | requests | refused (4xx) | answered | faults |",
        "|---|---|---|---|---|",
    ]
    for kind, found in counts.items():
        answered = sum(found.values()) - found["4xx"] - found["fault"]
        lines.append(f"| {kind} | {sum(found.values()):,} | {found['4xx']:,} | {answered:,} | {found['fault']:,} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
