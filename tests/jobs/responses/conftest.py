"""Kept responses over real databases, with a clock that stands still."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from server.jobs.responses.records import Item, Turn, item_id, response_id
from server.jobs.responses.responses import Responses
from server.settings import Settings
from server.storage.database import Database
from tests.accounts.conftest import Clock

SECRET = b"s" * 32

Make = Callable[..., Responses]


def message(text: str, role: str = "user") -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return {"type": "message", "id": item_id("message"), "role": role, "status": "completed", "content": content}


def turn(account_id: str, asked: str, answered: str | None = None, **more: Any) -> Turn:
    """A response to `asked`."""
    output = [message(answered, "assistant")] if answered is not None else []
    response = {"id": response_id(), "object": "response", "status": more.pop("status", "completed"), "output": output}
    return Turn(account_id=account_id, response=response, items=[message(asked)], **more)


def texts(items: Sequence[Item]) -> list[str]:
    return [item["content"][0]["text"] for item in items]


@pytest.fixture
def make(make_settings: Callable[..., Settings], database: Database, clock: Clock) -> Make:
    """Another process on the same database, with settings of its own."""

    def build(secret: bytes = SECRET, **values: Any) -> Responses:
        return Responses.over(make_settings(**values), database, secret, now=clock, time=clock.by_database)

    return build


@pytest.fixture
def responses(make: Make) -> Responses:
    return make()
