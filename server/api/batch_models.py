"""What the lines of a batch may run on: the catalog and the registry, as batches ask for them."""

from collections.abc import Mapping

from server.api import json_size
from server.api.services import States
from server.core import Caller, Task
from server.errors import ModelNotFound
from server.pipeline.modes import named
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
"""What each endpoint of a batch does."""


class BatchModels:
    """See `Models` in server/jobs/batches/work.py."""

    def __init__(self, catalog: Resolver, registry: States) -> None:
        self._catalog = catalog
        self._registry = registry

    def model_of(self, endpoint: str, name: str, caller: Caller | None) -> str:
        """The model's own name. Raises ModelNotFound, InvalidRequest."""
        allowed = None if caller is None else caller.models
        if allowed is not None and allowed.isdisjoint((name, name.rpartition(":")[0])):
            raise ModelNotFound.named(name)  # what there is to say of it is not the key's to know
        try:
            _, _, (spec, _) = named(name, TASKS[endpoint], self._catalog)
        except ModelNotFound as error:
            raise error if allowed is None else error.shown_to(allowed) from None
        return spec.name

    def places(self, model: str) -> int:
        """1 for a model that is not served any more, whose lines are refused at once."""
        state = self._registry.states().get(model)
        return 1 if state is None else state.places

    def check(self, line: bytes) -> None:
        """Raises InvalidRequest."""
        json_size.check(line)
