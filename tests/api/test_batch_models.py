"""What batches may ask for, and how many of their lines are begun at once."""

from dataclasses import replace

import pytest

from server.api.batch_models import TASKS, BatchModels
from server.core import Caller
from server.errors import InvalidRequest, ModelNotFound
from server.jobs.batches.records import ENDPOINTS
from server.settings import Settings
from server.testing import CALLER, FakeServer
from server.testing.server import FakeState

CHAT = "/v1/chat/completions"


@pytest.fixture
def fake(settings: Settings) -> FakeServer:
    return FakeServer(settings)


@pytest.fixture
def models(fake: FakeServer) -> BatchModels:
    return BatchModels(fake.catalog, fake.registry)


def only(*names: str) -> Caller:
    return replace(CALLER, models=frozenset(names))


def test_every_endpoint_of_batches_has_its_task() -> None:
    assert set(TASKS) == set(ENDPOINTS)


def test_a_public_name_is_the_model_that_does_the_endpoints_task(models: BatchModels) -> None:
    assert models.model_of(CHAT, "everything", None) == "fake-chat"
    assert models.model_of("/v1/embeddings", "everything", CALLER) == "fake-embedding"
    assert models.model_of("/v1/responses", "everything:ultra", None) == "fake-chat"


@pytest.mark.parametrize(
    ("endpoint", "name", "caller"),
    [
        (CHAT, "none", None),
        (CHAT, "fake-image", None),
        (CHAT, "fake-chat", only("everything")),
        (CHAT, "fake-chat:ultra", only("everything")),
        (CHAT, "none", only("everything")),
    ],
)
def test_others_are_refused_as_a_request_would_be(
    models: BatchModels, endpoint: str, name: str, caller: Caller | None
) -> None:
    with pytest.raises(ModelNotFound):
        models.model_of(endpoint, name, caller)


def test_what_a_key_may_not_use_it_does_not_learn_of(models: BatchModels) -> None:
    said = []
    for name in ("fake-image", "none"):
        with pytest.raises(ModelNotFound) as refused:
            models.model_of(CHAT, name, only("everything"))
        said.append(refused.value.message.replace(name, "it"))
    assert said[0] == said[1]


def test_a_suffix_that_is_no_mode_is_refused(models: BatchModels) -> None:
    with pytest.raises(InvalidRequest, match="no quality mode"):
        models.model_of(CHAT, "everything:most", None)


def test_a_model_that_is_not_loaded_is_asked_by_few() -> None:
    """How many it works on is not known then. A start's first lines, 320 of them, were refused for a full queue."""
    states = {"ready": FakeState(places=7), "loading": FakeState("loading", places=256), "failed": FakeState("failed")}

    class Registry:
        def states(self) -> dict[str, FakeState]:
            return states

    models = BatchModels(None, Registry())  # type: ignore[arg-type]
    assert [models.places(model) for model in (*states, "gone")] == [7, 1, 1, 1]
