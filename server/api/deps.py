"""What routes may ask for: the services, the settings, who is calling, and the way into the pipeline."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Protocol

from fastapi import Depends, Request

from server.api.context import record_of
from server.api.failed_keys import FailedKeys
from server.core import Ask, Caller, Job, Task
from server.errors import NotAuthenticated, PermissionDenied
from server.models.config.spec import ModelSpec, Price
from server.observability import Metrics, RequestRecord
from server.pipeline.run import Pipeline, Run
from server.settings import Settings

if TYPE_CHECKING:
    from server.accounts.ledger.ledger import Ledger
    from server.accounts.reports.usage import Reports
    from server.api.openai.image_store import ImageStore

ANYONE = Caller(key_id="none", account_id="none")
"""Who calls when `auth` is off."""


class Authenticator(Protocol):
    """The part of accounts that a request needs."""

    async def authenticate(self, key: str) -> Caller | None:
        """Whose key this is; None if it is unknown, expired or revoked."""
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


class Listing(Protocol):
    """The part of the catalog that routes read."""

    def public_models(self) -> Sequence[PublicModel]: ...


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


class ModelState(Protocol):
    """Where a model stands: unloaded, loading, ready, asleep, draining or failed, and why if it failed."""

    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def held(self) -> Amount: ...
    @property
    def reported(self) -> Amount: ...


class States(Protocol):
    """The part of the registry that routes read."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything that routes work with. Built by `server/services.py`, or by a test."""

    settings: Settings
    accounts: Authenticator
    catalog: Listing
    registry: States
    pipeline: Pipeline
    metrics: Metrics = field(default_factory=Metrics)
    images: "ImageStore"
    ledger: "Ledger | None" = None
    reports: "Reports | None" = None
    failed_keys: FailedKeys = field(default_factory=FailedKeys)
    first_key: str | None = None
    """The key that the first start made, to be shown once."""


class RequestPipeline:
    """The pipeline as one request sees it: what it opens is noted for the request's log line and metrics."""

    def __init__(self, pipeline: Pipeline, record: RequestRecord) -> None:
        self._pipeline = pipeline
        self._record = record

    async def open(self, ask: Ask, job: Job) -> Run:
        """As `Pipeline.open`."""
        self._record.asked_model = ask.model
        run = await self._pipeline.open(ask, job)
        self._record.run = run
        self._record.model = run.plan.spec.name
        return run


async def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


async def get_settings(services: ServicesDep) -> Settings:
    return services.settings


async def get_pipeline(request: Request, services: ServicesDep) -> RequestPipeline:
    return RequestPipeline(services.pipeline, record_of(request.scope))


async def keyed(request: Request, services: ServicesDep) -> Caller:
    """The caller whose key is in `Authorization: Bearer …`. Raises NotAuthenticated, the slower the more often."""
    scheme, _, key = request.headers.get("authorization", "").strip().partition(" ")
    key = key.strip()
    challenge = {"WWW-Authenticate": "Bearer"}
    if scheme.lower() != "bearer" or not key:
        raise NotAuthenticated(headers=challenge)
    caller = await services.accounts.authenticate(key)
    if caller is None:
        await services.failed_keys.failed(request.client.host if request.client else None)
        raise NotAuthenticated("Incorrect API key provided.", code="invalid_api_key", headers=challenge)
    record_of(request.scope).key_id = caller.key_id
    return caller


async def authenticated(request: Request, services: ServicesDep) -> Caller:
    """The caller by its key, or ANYONE where `auth` is off. Raises NotAuthenticated."""
    return ANYONE if services.settings.auth == "off" else await keyed(request, services)


def require(*scopes: str) -> Callable[..., Awaitable[None]]:
    """A dependency that lets a caller with any of the scopes pass. Raises NotAuthenticated, PermissionDenied.

    `admin` alone needs a key even where `auth` is off: a trusted network is trusted with models, not with keys.
    """
    wanted = frozenset(scopes)
    who = keyed if wanted == {"admin"} else authenticated

    async def allowed(caller: Annotated[Caller, Depends(who)]) -> None:
        if not wanted & effective_scopes(caller):
            raise PermissionDenied(f"This key may not do that: it needs the scope {' or '.join(sorted(wanted))}.")

    allowed.scopes = wanted  # type: ignore[attr-defined] # for the test that walks the route table
    return allowed


def effective_scopes(caller: Caller) -> frozenset[str]:
    """`admin` includes `usage`, which only reads; nothing includes `inference`, which spends credits."""
    return caller.scopes | {"usage"} if "admin" in caller.scopes else caller.scopes


SettingsDep = Annotated[Settings, Depends(get_settings)]
PipelineDep = Annotated[RequestPipeline, Depends(get_pipeline)]
CallerDep = Annotated[Caller, Depends(authenticated)]
KeyedDep = Annotated[Caller, Depends(keyed)]
"""For what needs a key even where `auth` is off."""
