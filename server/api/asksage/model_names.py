"""The names of models as Ask Sage's clients write them."""

from server.api.asksage.query_request import DEFAULT_MODEL
from server.api.openai.models import visible
from server.api.services import Services
from server.core import Caller, Task
from server.errors import ModelNotFound


def able(services: Services, caller: Caller, task: Task) -> list[str]:
    """The public names that do a task, of those that the key may use, in the configs' order."""
    return [one.id for one in services.catalog.public_models() if task in one.tasks and visible(one, caller)]


def resolved(services: Services, caller: Caller, name: str) -> str:
    """What is asked of the pipeline: `openai_gpt` and `openai_gpt:high` by the model that they stand for.

    A model that is served by that very name is itself. Raises ModelNotFound where nothing chats.
    """
    bare, colon, suffix = name.partition(":")
    if bare != DEFAULT_MODEL or any(one.id in (name, bare) for one in services.catalog.public_models()):
        return name
    chosen = services.settings.asksage_model or next(iter(able(services, caller, Task.CHAT)), None)
    if chosen is None:
        raise ModelNotFound.named(name)
    return f"{chosen}{colon}{suffix}"


def context_of(services: Services, name: str) -> int | None:
    """Tokens that a prompt and its answer may have together; None while that is not known."""
    bare = name.rpartition(":")[0]
    for one in services.catalog.public_models():
        if one.id in (name, bare) and (spec := one.tasks.get(Task.CHAT)) is not None:
            context: int | None = services.registry.states()[spec.name].context or getattr(spec, "max_model_len", None)
            return context
    return None
