"""What routes work with: the parts of the server that they are given, each by what it must be able to do."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from server.api.body_room import TOGETHER, BodyRoom
from server.api.failed_keys import FailedKeys
from server.api.spoken_answers import SpokenAnswers
from server.api.turns import Turns
from server.core import Caller, Claim, Task
from server.errors import ModelNotFound
from server.models.config.spec import ModelSpec, Price
from server.observability import Metrics
from server.observability.tracing import Tracing
from server.pipeline.run import Pipeline
from server.pipeline.shutdown import Shutdown
from server.settings import Settings

if TYPE_CHECKING:
    from server.accounts.keys.tokens import Exchanged
    from server.accounts.ledger.ledger import Ledger
    from server.accounts.reports.usage import Reports
    from server.api.openai.image_store import ImageStore
    from server.api.openai.responses.turn import Keeper
    from server.jobs.batches.batches import Batches
    from server.jobs.files.store import Files
    from server.knowledge.knowledge import Knowledge
    from server.models.config.catalog import Missing
    from server.models.probe import Report
    from server.models.slot import Begun


READERS, WAITING_READERS = 4, 32
"""Files of requests that are read at once, each by a process of SAGEHOLD_DOCUMENT_MEMORY at most beside those of
ingestion; and that wait for it, in memory."""


class Authenticator(Protocol):
    """The part of accounts that a request needs."""

    async def authenticate(self, key: str) -> Caller | None:
        """Whose key or token this is; None if it is unknown, expired or revoked. Raises AccountClosed."""
        ...

    async def exchange(self, key: str, email: str | None) -> "Exchanged":
        """A token for a key. Raises AccountClosed."""
        ...


class PublicModel(Protocol):
    """A public name: what /v1/models shows of it."""

    @property
    def id(self) -> str: ...
    @property
    def tasks(self) -> Mapping[Task, ModelSpec]: ...
    @property
    def price(self) -> Price: ...
    @property
    def owned_by(self) -> str: ...
    @property
    def created(self) -> int: ...
    @property
    def description(self) -> str: ...
    @property
    def parent(self) -> str | None: ...
    @property
    def image_response_format(self) -> str | None: ...


class Listing(Protocol):
    """The part of the catalog that routes read."""

    @property
    def models(self) -> Sequence[ModelSpec]:
        """Those that are served."""
        ...

    @property
    def missing(self) -> "Sequence[Missing]":
        """Those whose files are not installed."""
        ...

    def public_models(self) -> Sequence[PublicModel]: ...

    def unserved(self, name: str) -> ModelNotFound:
        """What is said of a name that is none of them."""
        ...


class Amount(Protocol):
    """Bytes of the host, and of each GPU by its number."""

    @property
    def host(self) -> int: ...
    @property
    def gpus(self) -> Mapping[int, int]: ...


class Memory(Protocol):
    """The books of memory."""

    @property
    def budget(self) -> Amount: ...
    @property
    def held(self) -> Mapping[str, Amount]: ...
    @property
    def reported(self) -> Mapping[str, Amount]: ...


class Loading(Protocol):
    """A load or wake under way: what it is at, and seconds since it began."""

    @property
    def phase(self) -> str: ...
    @property
    def seconds(self) -> float: ...


class ModelState(Protocol):
    """Where a model stands: unloaded, loading, ready, asleep, draining or failed, and why if it failed.

    refusal: why the last load was given up although nothing is wrong with the model. places: requests that it works on
    at once. context: tokens that a prompt and its answer may have together; None while that is unknown, or where there
    are none.
    """

    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def refusal(self) -> str | None: ...
    @property
    def running(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def places(self) -> int: ...
    @property
    def loading(self) -> Loading | None: ...
    @property
    def held(self) -> Amount: ...
    @property
    def reported(self) -> Amount: ...
    @property
    def context(self) -> int | None: ...


class States(Protocol):
    """The part of the registry that routes read, and by which operators load and unload."""

    def states(self) -> Mapping[str, ModelState]:
        """By the models' own names."""
        ...

    def memory(self) -> Memory: ...

    @property
    def ready(self) -> bool:
        """Whether every model that is loaded at start can answer."""
        ...

    def running(self) -> Mapping[str, int]:
        """Jobs in flight inside each loaded engine."""
        ...

    def begin_load(self, name: str) -> "Begun":
        """Raises ModelNotFound, Conflict."""
        ...

    def begin_unload(self, name: str, grace: float | None = None) -> "Begun":
        """grace: seconds that requests in flight get to end. Raises ModelNotFound, Conflict."""
        ...

    async def probe(self, name: str, claim: Claim) -> "Report":
        """Raises ModelNotFound, Conflict, Overloaded, RateLimited."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that routes work with. Built by `server/services.py`, or by a test."""

    settings: Settings
    accounts: Authenticator
    catalog: Listing
    registry: States
    pipeline: Pipeline
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing | None = None
    images: "ImageStore"
    ledger: "Ledger | None" = None
    reports: "Reports | None" = None
    knowledge: "Knowledge | None" = None
    """None only where a test has no use for it."""
    files: "Files | None" = None
    """None only where a test has no use for them."""
    batches: "Batches | None" = None
    """None where nobody works on them; see `at_work` in server/app.py."""
    open_batches: "Callable[[ASGIApp], AbstractAsyncContextManager[Batches]] | None" = None
    """The work on batches, whose requests an application answers; None where there is none."""
    responses: "Keeper | None" = None
    """None where no response is kept."""
    failed_keys: FailedKeys = field(default_factory=FailedKeys)
    reading: Turns = field(default_factory=lambda: Turns(READERS, WAITING_READERS))
    spoken: SpokenAnswers = field(default_factory=SpokenAnswers)
    outages: Callable[[], Mapping[str, str]] = dict
    """What is down that requests need, by its name, in words for everyone."""
    bodies: BodyRoom = field(init=False)
    first_key: str | None = None
    """The key that the first start made, to be shown once."""

    def __post_init__(self) -> None:
        most = TOGETHER * max(self.settings.max_body, self.settings.max_upload)
        object.__setattr__(self, "bodies", BodyRoom(most))

    @property
    def shutdown(self) -> Shutdown:
        return self.pipeline.shutdown


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that serves `connection`."""
    services: Services = connection.scope["app"].state.services
    return services
