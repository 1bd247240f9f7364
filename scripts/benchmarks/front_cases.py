"""The loads of `scripts/bench front`, and the fake models under them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.front_figures import PACED, PLAIN, STREAMS

PACE = 0.02
"""Seconds between two tokens of a paced stream."""
MODELS = 5
"""Copies of each fake model. One works on 256 requests at a time; a thousand streams must not wait for a place."""
NEVER = 10**9
AROUND = 2
"""Chunks of a stream beside its tokens' and [DONE]: the role, and the reason of its end."""


@dataclass(frozen=True, slots=True)
class Case:
    """A load: on each of `connections` as many requests as `answers`, one after the other.

    tokens: of each answer; streamed, it has a chunk each. ramp: seconds within which the connections begin, so that
    paced streams are not all admitted at once. An unpaced model gives its tokens as fast as they are taken.
    """

    name: str
    connections: int
    answers: int
    tokens: int = 1
    paced: bool = False
    ramp: float = 0.0

    @property
    def streamed(self) -> bool:
        return self.tokens > 1

    @property
    def events(self) -> int:
        """Server-sent events of each answer."""
        return self.tokens + AROUND + 1 if self.streamed else 0

    @property
    def labels(self) -> Mapping[str, str]:
        """Its figures, and their names for people."""
        return PACED if self.paced else STREAMS if self.streamed else PLAIN

    def __str__(self) -> str:
        many = f"{self.connections} connection" + ("s" if self.connections > 1 else "")
        if not self.streamed:
            return f"plain requests, {many}"
        return f"streams of {self.tokens} chunks, {many}" + (f", {PACE * 1000:g} ms a token" if self.paced else "")


CASES = (
    Case("plain-1", 1, 1500),
    Case("plain-64", 64, 60),
    Case("streams-1", 1, 200, 200),
    Case("streams-64", 64, 5, 200),
    Case("streams-512", 512, 1, 200),
    Case("streams-1000", 1000, 1, 200),
    Case("paced-512", 512, 1, 300, paced=True, ramp=2.0),
)
QUICK = (
    Case("plain-1", 1, 600),
    Case("plain-64", 64, 20),
    Case("streams-1", 1, 150, 200),
    Case("streams-64", 64, 3, 200),
    Case("streams-512", 512, 1, 100),
    Case("streams-1000", 1000, 1, 50),
    Case("paced-512", 512, 1, 150, paced=True, ramp=1.0),
)

WARM_UP = (Case("warm-up, plain", 8, 30), Case("warm-up, streams", 8, 4, 100))
PACED_WARM_UP = (Case("warm-up, paced", 8, 1, 10, paced=True),)


def chosen(names: Sequence[str], known: Sequence[Case]) -> list[Case]:
    """The known loads of these names, all if there are none. Raises LookupError."""
    if unknown := set(names) - {case.name for case in known}:
        raise LookupError(f"--cases: there is no load {', '.join(sorted(unknown))}")
    return [case for case in known if case.name in names or not names]


def requests(case: Case, key: str | None) -> list[str]:
    """Whole requests, head and body, one for each copy of the model; connection i sends number i modulo their count."""
    return [_request(case, model, key) for model in _models()]


def write_configs(folder: Path) -> Path:
    """The fake models' configs, of fields that every revision with a fake engine knows."""
    folder.mkdir()
    for model in _models():
        (folder / f"{model}.yaml").write_text(
            f"name: {model}\nengine: fake\nserves: chat\noptions: {{tokens: 400}}\n"
            f"price: {{prompt_token: 0.0004, completion_token: 0.0004}}\nmax_queue: {NEVER}\n"
        )
    return folder


def _models() -> list[str]:
    return [f"fake-{number}" for number in range(MODELS)]


def _request(case: Case, model: str, key: str | None) -> str:
    messages = [{"role": "system", "content": "Answer in one word."}, {"role": "user", "content": "hello there"}]
    body = json.dumps({"model": model, "messages": messages, "max_tokens": case.tokens, "stream": case.streamed})
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    if key:
        lines.append(f"authorization: Bearer {key}")
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", body])
