"""Chat, by questions whose answers a program can check: arithmetic, extraction, format following.

Nothing but the mode is said to the server: temperature and passes are the mode's own, and the limit, where it has one.
A request's seed hangs on its question only, so that two modes with the same settings give the same draft.
"""

from collections.abc import Sequence
from zlib import crc32

import httpx

from scripts.quality.checkers import CHECKERS
from scripts.quality.frame import Outcome, checked, outcome
from scripts.quality.questions import Question, questions

NAME = "chat"
MODELS = ("smollm2-135m-instruct",)
UNIT = "share right"
HIGHER_IS_BETTER = True
SIZE = 600
AT_ONCE = 8
WITHOUT_LIMIT = ("auto", "medium")
LIMIT = 256
"""Tokens for the modes that have no limit of their own: answers that ramble to the context's end are wrong anyway."""


def prepare() -> None:
    """Nothing is needed."""


def items(size: int, seed: int) -> Sequence[Question]:
    return questions(size, seed)


async def ask(client: httpx.AsyncClient, item: Question, mode: str) -> Outcome:
    """Raises Failure, httpx.HTTPError."""
    body = {
        "model": MODELS[0],
        "messages": [{"role": "user", "content": item.prompt}],
        "quality": mode,
        "seed": crc32(item.prompt.encode()),
    }
    if mode in WITHOUT_LIMIT:
        body["max_tokens"] = LIMIT
    response = checked(await client.post("/v1/chat/completions", json=body))
    answer = response.json()
    choice = answer["choices"][0]
    text = choice["message"]["content"] or ""
    right = CHECKERS[item.check](text, item.expected)
    detail = {"answer": text, "finish_reason": choice["finish_reason"]}
    return outcome(float(right), answer["usage"], response.headers, detail=detail)
