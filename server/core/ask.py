"""What a client says beside the work itself."""

from dataclasses import dataclass, field
from decimal import Decimal
from uuid import uuid4

from server.core.caller import Caller, Priority
from server.core.quality import Quality


def new_request_id() -> str:
    """A request's name for the log, the client and the ledger: `req_` and 32 hexadecimal digits."""
    return f"req_{uuid4().hex}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who asks which model, and how well and how soon the job is to be done. Engines know nothing of it.

    model: the public name as the client wrote it, with the suffix that may name a quality mode.
    quality: what the body or a header said; None leaves it to the name's suffix, or to auto.
    budget: seconds after which no further pass is begun; None for what the model's config says.
    streamed: whether the client wants the answer piece by piece. priority: the class that it asked for; None for the
    key's. price_factor: what it costs, as a part of the prices: 0.5 is half of them. paid: what an earlier try at it
    has cost whose answer was lost: nothing is held or billed any more, and no usage is noted; None for a first try.
    id: the request's own, which is in the log, in the answer's `x-request-id`, and the ledger's reference.
    """

    caller: Caller
    model: str
    quality: Quality | None = None
    budget: float | None = None
    streamed: bool = False
    priority: Priority | None = None
    price_factor: Decimal = Decimal(1)
    paid: Decimal | None = None
    id: str = field(default_factory=new_request_id)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request claims of a model while it waits for it and uses it.

    size: about how much work it is, in a unit of the model's task (tokens, characters, bytes of audio, pictures times
    steps), as far as that is known before the engine has read the job; 0 where nothing is known, which counts as what
    the model is usually asked for. A chat of 100 prompt tokens and a limit of 400 is 500. weight: of the caller, see
    there. places: how many answers the engine makes at once for it; five drafts of a chat take five.
    """

    account_id: str
    priority: Priority = Priority.NORMAL
    size: float = 0.0
    weight: int = 1
    places: int = 1
