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
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import hypothesis
from hypothesis import HealthCheck, Phase

from server.accounts.administration import Administration
from server.accounts.keys.identity import SCOPES
from server.settings import Settings
from server.testing import FakeServer
from tests.conformance.bad_requests import BadRequest
from tests.conformance.case import Failed
from tests.conformance.expect import INTERNALS, error, short, that
from tests.conformance.run import one_line
from tests.conformance.target import Answer
from tests.conformance.worse_requests import ALL_KINDS as KINDS

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

    @hypothesis.seed(number)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(KINDS[kind])
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
    """Our own application over fake engines, with accounts and a key of them."""
    with TemporaryDirectory() as name, asyncio.Runner() as runner:
        opened = AsyncExitStack()
        client = runner.run(_client(opened, Path(name)))

        async def send(request: BadRequest) -> Answer:
            try:
                async with asyncio.timeout(HANG):
                    found = await client.request(
                        request.method, request.path, headers=request.raw_headers, content=request.body
                    )
            except TimeoutError:
                raise Failed(f"no answer in {HANG:g} s") from None
            except Exception as raised:  # noqa: BLE001 - what the application didn't answer
                raise Failed(f"raised {type(raised).__name__}: {raised}") from None
            return Answer(found.status_code, found.headers, found.content)

        try:
            yield lambda request: runner.run(send(request))
        finally:
            runner.run(opened.aclose())


async def _client(opened: AsyncExitStack, folder: Path) -> httpx.AsyncClient:
    settings = Settings(data_dir=folder / "data", models_dir=folder / "models", model_configs=folder / "configs")
    administration = await opened.enter_async_context(Administration.open(settings))
    accounts, ledger = administration.accounts, administration.ledger
    fake = await opened.enter_async_context(FakeServer(settings, accounts=accounts, bank=ledger))
    fake.app.state.services = replace(fake.services, ledger=ledger, reports=administration.reports)
    key = (await accounts.create_key(scopes=SCOPES)).key
    return await opened.enter_async_context(fake.client(key))


@contextmanager
def over_http(base: str, key: str, model: str) -> Iterator[Send]:
    """A server that runs. base: without /v1. model: takes the place of the fake one's name."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=base, headers=headers, timeout=HANG, trust_env=False) as client:

        def send(request: BadRequest) -> Answer:
            body = request.body.replace(b"everything", model.encode())
            try:
                found = client.request(request.method, request.path, headers=request.raw_headers, content=body)
            except httpx.TimeoutException:
                raise Failed(f"no answer in {HANG:g} s") from None
            except httpx.TransportError as raised:
                raise Failed(f"the connection broke: {type(raised).__name__}") from None
            return Answer(found.status_code, found.headers, found.content)

        yield send


@dataclass
class Figures:
    """What came of a run. counts: by kind and class of status, or `fault`. faults: the shortest request of each."""

    seed: int
    where: str
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: dict[str, BadRequest] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(count for found in self.counts.values() for count in found.values())

    def note(self, kind: str, request: BadRequest, answer: Answer | str) -> None:
        found = self.counts.setdefault(kind, Counter())
        if not isinstance(answer, str):
            found[f"{answer.status // 100}xx"] += 1
            return
        found["fault"] += 1
        known = self.faults.setdefault(f"{kind}: {answer}", request)
        if len(request.body) < len(known.body):
            self.faults[f"{kind}: {answer}"] = request

    def markdown(self) -> str:
        lines = [
            f"{self.total:,} requests of hypothesis, seed {self.seed} (`scripts/attack_requests`), {self.where}:",
            f"{len(self.faults) or 'no'} kinds of faults. A fault is a 5xx, a body outside of the envelope, a word",
            f"of the program's internals, an answer that takes {HANG:g} s, or a stream that is not one.",
            "",
            "| kind | requests | refused (4xx) | answered | faults |",
            "|---|---|---|---|---|",
        ]
        for kind, found in self.counts.items():
            sent, refused, faults = found.total(), found["4xx"], found["fault"]
            lines.append(f"| {kind} | {sent:,} | {refused:,} | {sent - refused - faults:,} | {faults:,} |")
        return "\n".join([*lines, ""])


def attacked(send: Send, where: str, *, count: int, number: int, kinds: Sequence[str] = ()) -> Figures:
    """`count` requests in equal shares of the kinds, or of all. number: the seed."""
    figures = Figures(number, where)
    chosen = kinds or list(KINDS)
    for kind in chosen:
        attack(kind, count // len(chosen), number, send, partial(figures.note, kind))
        print(f"{kind}: {dict(sorted(figures.counts[kind].items()))}", flush=True)
    for reason, request in figures.faults.items():
        print(f"\n{reason}\n  {request.method} {request.path} {json.dumps(dict(request.headers))}")
        print(f"  {request.body[:600]!r}")
    return figures


IN_PROCESS = "in process over fake engines"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/attack_requests", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="requests, in equal shares of the kinds")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--base-url", help="a server that runs, without /v1; in process over fake engines otherwise")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--model", default="everything")
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}")
    asked = parser.parse_args()
    where = f"against {asked.base_url}" if asked.base_url else IN_PROCESS
    opened = over_http(asked.base_url, asked.api_key, asked.model) if asked.base_url else in_process()
    begun = time.monotonic()
    with opened as send:
        figures = attacked(send, where, count=asked.count, number=asked.seed, kinds=asked.kinds)
    seconds = time.monotonic() - begun
    print(f"{figures.total} requests, seed {asked.seed}, {seconds:.0f} s, {len(figures.faults)} kinds of faults")
    return 1 if figures.faults else 0


if __name__ == "__main__":
    sys.exit(main())
