"""What batches may ask for, and how many of their requests a model works on at once."""

from collections.abc import Mapping

from server.api import json_size
from server.api.services import States
from server.core import Caller, Task
from server.errors import ModelNotFound
from server.pipeline.modes import known_to
from server.pipeline.tasks.base import Resolver

TASKS: Mapping[str, Task] = {
    "/v1/chat/completions": Task.CHAT,
    "/v1/completions": Task.COMPLETION,
    "/v1/embeddings": Task.EMBEDDING,
    "/v1/responses": Task.CHAT,
    "/v1/moderations": Task.MODERATION,
    "/v1/images/generations": Task.IMAGE,
    "/v1/audio/transcriptions": Task.TRANSCRIPTION,
}
"""What each endpoint asks of a model."""


class BatchModels:
    """`Models` of server/jobs/batches/work.py."""

    def __init__(self, catalog: Resolver, registry: States) -> None:
        self._catalog = catalog
        self._registry = registry

    def model_of(self, endpoint: str, name: str, caller: Caller | None) -> str:
        return model_for(self._catalog, caller, endpoint, name)

    def places(self, model: str) -> int:
        return places_in(self._registry, model)

    def check(self, line: bytes) -> None:
        json_size.check(line)


def model_for(catalog: Resolver, caller: Caller | None, endpoint: str, name: str) -> str:
    """The own name of the model that a public name means there, with the suffix for a mode that it may have.

    caller: whose key has to allow it; None is for anybody. Raises ModelNotFound, InvalidRequest.
    """
    allowed = None if caller is None else caller.models
    model, _, (spec, _) = known_to(allowed, name, TASKS[endpoint], catalog)
    if allowed is not None and model not in allowed:
        raise ModelNotFound.named(name)
    return spec.name


def places_in(registry: States, model: str) -> int:
    """Requests that a model works on at once."""
    standing = registry.states().get(model)
    return 1 if standing is None else standing.places
