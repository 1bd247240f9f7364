"""A request's record: what its log line and its metrics are made of."""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from server.core import Usage

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that this task works for; in every log line."""


class Measured(Protocol):
    """What the record reads from a Run."""

    @property
    def usage(self) -> Usage | None: ...

    @property
    def first_event(self) -> float | None:
        """When the engine's first event came, by time.perf_counter()."""
        ...

    @property
    def settled(self) -> bool:
        """Whether it is in the books, as paid or as used."""
        ...


@dataclass(slots=True)
class RequestRecord:
    """What is known of a request. Filled in as it goes through the layers; logged and counted once, at its end.

    id: `req_…`, one for the answer's x-request-id, the log and the ledger. started: by time.perf_counter().
    code: of the error that the client was shown. client: its address; None for `inner`, a request that
    the server makes to itself, such as a batch's. refused: the status that the answer's body
    tells, where that of HTTP is 200 nevertheless.
    """

    id: str
    method: str
    path: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    refused: int | None = None
    code: str | None = None
    client: str | None = None
    route: str = "unknown"
    seconds: float = 0.0
    key_id: str | None = None
    inner: bool = False
    asked_model: str | None = None
    model: str | None = None
    run: Measured | None = None

    @property
    def first_token_seconds(self) -> float | None:
        """From the request's arrival to the engine's first event."""
        if self.run is None or self.run.first_event is None:
            return None
        return self.run.first_event - self.started

    @property
    def usage(self) -> Usage | None:
        return self.run.usage if self.run else None

    def amounts(self) -> dict[str, float]:
        """What was used, by the names of the log's fields and the metrics; nothing that is zero."""
        usage = self.usage
        if usage is None:
            return {}
        amounts: dict[str, float] = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "audio_seconds": usage.audio_seconds,
            "characters": usage.characters,
            "images": usage.images,
        }
        return {name: amount for name, amount in amounts.items() if amount}
