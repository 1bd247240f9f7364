"""Every error this server answers with, in one tree.

    SageholdError                    status  type                    code
    ├── InvalidRequest               400     invalid_request_error   invalid_value (or as given)
    │   ├── ContextLengthExceeded    400     invalid_request_error   context_length_exceeded
    │   └── UnreadableDocument       400     invalid_request_error   unreadable_document
    ├── NotAuthenticated             401     invalid_request_error   invalid_api_key, or null without a key
    │   └── AccountClosed            401     invalid_request_error   account_deactivated
    ├── InsufficientCredits          402     insufficient_quota      insufficient_credits
    ├── PermissionDenied             403     request_forbidden       permission_denied
    ├── NotFound                     404     invalid_request_error   null
    │   └── ModelNotFound            404     invalid_request_error   model_not_found
    │       └── ModelNotInstalled    404     invalid_request_error   model_not_installed
    │   └── DatasetNotFound          404     invalid_request_error   dataset_not_found
    ├── MethodNotAllowed             405     invalid_request_error   method_not_supported
    ├── RequestTimeout               408     invalid_request_error   request_timeout
    ├── SlowReader                   408     invalid_request_error   slow_reader
    ├── Conflict                     409     invalid_request_error   conflict
    ├── PayloadTooLarge              413     invalid_request_error   null
    ├── TargetTooLong                414     invalid_request_error   url_too_long
    ├── UnsupportedMediaType         415     invalid_request_error   unsupported_media_type
    ├── RangeNotSatisfiable          416     invalid_request_error   range_not_satisfiable
    ├── RateLimited                  429     rate_limit_error        rate_limit_exceeded
    ├── HeadTooLarge                 431     invalid_request_error   headers_too_large
    ├── InternalError                500     server_error            internal_error
    │   └── EngineFailed             500     server_error            engine_failed
    │       └── EngineHung           503     service_unavailable_error  engine_hung
    └── Unavailable                  503     service_unavailable_error
        ├── ModelUnavailable         503                             model_unavailable
        ├── Overloaded               503                             server_is_overloaded
        ├── ServerStopping           503                             server_shutting_down
        ├── DatabaseUnavailable      503                             database_unavailable
        ├── KnowledgeUnavailable 503                             knowledge_unavailable
        └── StorageFull              503                             storage_full

Each instance has what its client gets: `status`, `type`, `code`, `param`, `message`. A message is
written for the client: it never holds a path, a trace or another caller's data. 5xx is a bug of ours or an
outage, never bad input. The dialects render the tree in one place each (`server/api/openai/dialect.py` for OpenAI).
Codes and types follow the OpenAI API's own table where it has one.
"""

from collections.abc import Container
from typing import Any, ClassVar, Self


class SageholdError(Exception):
    """Root of the tree. `headers` are added to the HTTP answer (Retry-After and the like)."""

    status: int = 500
    type: str = "server_error"
    code: str | None = None
    default_message: ClassVar[str] = "The server had an error while processing your request."

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message or self.default_message)
        self.message = message or self.default_message
        self.param = param
        if code is not None:
            self.code = code
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross from worker processes by pickle; keyword-only arguments need this.
        return (_rebuild, (type(self), self.message, self.param, self.code, self.headers))


def _rebuild(
    kind: type[SageholdError],
    message: str,
    param: str | None,
    code: str | None,
    headers: dict[str, str],
) -> SageholdError:
    return kind(message, param=param, code=code, headers=headers)


class InvalidRequest(SageholdError):
    """The request is wrong in itself; `param` names the field."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_value"
    default_message = "The request is invalid."


class ContextLengthExceeded(InvalidRequest):
    code = "context_length_exceeded"


class UnreadableDocument(InvalidRequest):
    """A file from which no text can be taken: damaged, encrypted, hostile, too big in pages or memory, or of no known
    kind. Its message says which, for whoever added it."""

    code = "unreadable_document"
    default_message = "The document can't be read."


class NotAuthenticated(SageholdError):
    """No key (code null) or a key that is not valid (code invalid_api_key)."""

    status = 401
    type = "invalid_request_error"
    default_message = (
        "You didn't provide an API key. Provide it in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY)."
    )


class AccountClosed(NotAuthenticated):
    """The key is right, and its account is closed: told to whoever has the key, and to nobody else."""

    code = "account_deactivated"
    default_message = "This API key belongs to an account that is closed. Whoever runs this server can open it again."


class InsufficientCredits(SageholdError):
    status = 402
    type = "insufficient_quota"
    code = "insufficient_credits"
    default_message = "Not enough credits for this request."

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        # Waiting does not bring money: the SDKs' retry loops obey this header.
        self.headers.setdefault("x-should-retry", "false")


class PermissionDenied(SageholdError):
    status = 403
    type = "request_forbidden"
    code = "permission_denied"
    default_message = "This key may not do that."


class NotFound(SageholdError):
    status = 404
    type = "invalid_request_error"
    default_message = "Not found."


class ModelNotFound(NotFound):
    """`having`: the other names that its message lists, which do have a model for the task."""

    code = "model_not_found"
    having: tuple[str, ...] = ()

    @classmethod
    def named(cls, name: str, task: str | None = None, having: tuple[str, ...] = ()) -> "ModelNotFound":
        """The standard wording. `having` lists ids that do have a model for `task`."""
        name = name[:128]  # no configured name is longer, and an answer must not be as long as a request
        message = f"The model `{name}` does not exist or you do not have access to it."
        if task is not None and having:
            message = f"The model `{name}` has no model for {task}.{_others(having)}"
        elif task is not None:
            message = f"The model `{name}` has no model for {task}, and no other model here does."
        return cls(message)._listing(having)

    def shown_to(self, allowed: Container[str]) -> "ModelNotFound":
        """The same without names that a key may not use: which those are is not the key's to know."""
        seen = tuple(name for name in self.having if name in allowed)
        return type(self)(self.message.replace(_others(self.having), _others(seen)))._listing(seen)

    def _listing(self, having: tuple[str, ...]) -> Self:
        self.having = having
        return self


def _others(having: tuple[str, ...]) -> str:
    return f" Models that do: {', '.join(having)}." if having else ""


class ModelNotInstalled(ModelNotFound):
    """The name is configured, and the files of the model behind it are not on this machine."""

    code = "model_not_installed"

    @classmethod
    def called(cls, name: str, task: str | None = None, having: tuple[str, ...] = ()) -> "ModelNotInstalled":
        """The standard wording, as `named` has it. How the files come may hold paths, and is the operator's to see."""
        how = "`sagehold models list` tells whoever runs this server how to bring them."
        if task is None:
            return cls(f"The model `{name[:128]}` is configured here, but its files are not installed. {how}")
        return cls(
            f"The model `{name[:128]}` has no model for {task} now: the files of the one configured are not "
            f"installed. {how}{_others(having)}"
        )._listing(having)


class DatasetNotFound(NotFound):
    """There is none, or it is somebody else's: the two look alike, word by word."""

    code = "dataset_not_found"

    @classmethod
    def named(cls, name: str) -> "DatasetNotFound":
        return cls(f"The dataset `{name[:128]}` does not exist or you do not have access to it.", param="dataset")


class MethodNotAllowed(SageholdError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_supported"
    default_message = "This method is not allowed here."


class RequestTimeout(SageholdError):
    """The client took too long to send its request."""

    status = 408
    type = "invalid_request_error"
    code = "request_timeout"
    default_message = "The request's body did not arrive in time."


class SlowReader(SageholdError):
    """The client takes its answer so much slower than it is made that no more was made. What was made is paid."""

    status = 408
    type = "invalid_request_error"
    code = "slow_reader"
    default_message = "The answer was ended early: too much of it was generated that your client had not read."


class Conflict(SageholdError):
    """What is asked for can't be done to what is there: a name that is taken, a model that does not fit."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class PayloadTooLarge(SageholdError):
    status = 413
    type = "invalid_request_error"
    default_message = "The request body is too large."


class TargetTooLong(SageholdError):
    status = 414
    type = "invalid_request_error"
    code = "url_too_long"
    default_message = "The request's path and query are too long."


class UnsupportedMediaType(SageholdError):
    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"
    default_message = "This content type is not supported here."


class RangeNotSatisfiable(SageholdError):
    """None of the bytes that were asked for are there."""

    status = 416
    type = "invalid_request_error"
    code = "range_not_satisfiable"
    default_message = "The range lies behind the end."


class RateLimited(SageholdError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    default_message = "Rate limit reached."


class HeadTooLarge(SageholdError):
    """The request's line and headers, before its body."""

    status = 431
    type = "invalid_request_error"
    code = "headers_too_large"
    default_message = "The request's headers are too large."


class InternalError(SageholdError):
    code = "internal_error"


class EngineFailed(InternalError):
    """The engine or worker that ran this request died or broke; a retry gets a fresh one."""

    code = "engine_failed"
    default_message = "The model's engine stopped while it worked on this request. Please try again."


class EngineHung(EngineFailed):
    """The engine stopped answering, and was ended for that; its replacement is on its way."""

    status = 503
    type = "service_unavailable_error"
    code = "engine_hung"
    default_message = "The model's engine stopped answering and is being replaced. Please try again."

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.headers.setdefault("Retry-After", "5")


class Unavailable(SageholdError):
    """An outage that may pass; answers carry Retry-After."""

    status = 503
    type = "service_unavailable_error"
    default_message = "The service is not available right now."

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.headers.setdefault("Retry-After", "5")


class NotServedHere(Unavailable):
    """The server was put together without what the request needs. That does not pass while it runs."""

    code = "not_served_here"


class ModelUnavailable(Unavailable):
    """The model is configured, but could not be loaded, or its probe failed."""

    code = "model_unavailable"


class Overloaded(Unavailable):
    code = "server_is_overloaded"
    default_message = "The server is busy. Please try again shortly."


class ServerStopping(Unavailable):
    """The server has been told to end: it takes no more requests, or this one has outlived the grace."""

    code = "server_shutting_down"
    default_message = "The server is shutting down. Please try again shortly."

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.headers.setdefault("Connection", "close")


class DatabaseUnavailable(Unavailable):
    """The database is gone, locked or full: who is calling, or what they have, can't be known."""

    code = "database_unavailable"
    default_message = "The server's accounts can't be reached right now. Please try again shortly."


class KnowledgeUnavailable(Unavailable):
    """Datasets can't be kept or searched here: no embedding model, or a PostgreSQL without pgvector."""

    code = "knowledge_unavailable"
    default_message = "This server keeps no datasets: whoever runs it finds the reason in its log."


class StorageFull(Unavailable):
    code = "storage_full"
    default_message = "The server's disk is full."
