"""What answers one request of a batch."""

from dataclasses import dataclass
from typing import Protocol


class PayerGone(Exception):
    """The key that the batch was made with was revoked or has expired, or its account is closed. Nothing more of the
    batch is begun. Its words are for the batch's owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request. key_id: who pays; None where nobody does. endpoint: a path such as `/v1/chat/completions`. body: its
    JSON, as it stands in the file.

    reference: its name in the ledger, up to 64 characters, no two tries alike. paid: an earlier try was paid and its
    answer lost: this one costs nothing, and is not noted as used.
    """

    account_id: str
    key_id: str | None
    endpoint: str
    body: bytes
    reference: str
    paid: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """An HTTP answer. body: of an error the envelope of the OpenAI API. retry_after: seconds, where it names them."""

    status_code: int
    request_id: str
    body: bytes
    retry_after: float | None = None


class Executor(Protocol):
    """Answers requests as the server itself would answer them, many at a time."""

    async def run(self, order: Order) -> LineResult:
        """Whatever becomes of it is a result, a refusal or an outage too. Raises nothing but PayerGone.

        A caller that is cancelled wants no answer any more: the work ends within a step.
        """
        ...


class Bills(Protocol):
    """What has been paid of a batch."""

    async def settled(self, batch_id: str) -> frozenset[int]:
        """Numbers of the lines of which some try was paid. Raises what the database raises."""
        ...


def reference_of(batch_id: str, line: int, claim: int, attempt: int) -> str:
    """The ledger's name for a try at a line: `batch_1f…-17` for the very first, `batch_1f…-17.2.3` for the third under
    the second claim. claim, attempt: from 1."""
    first = f"{batch_id}-{line}"
    return first if claim == attempt == 1 else f"{first}.{claim}.{attempt}"


def line_of(reference: str) -> int:
    """The number of the line, from 1, that a reference is a try at."""
    return int(reference.rpartition("-")[2].partition(".")[0])
