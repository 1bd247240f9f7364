"""A model may serve several tasks, and each task may have qualities or none."""

from pathlib import Path

import pytest

from server.core import Task
from server.models.config.catalog import CatalogError
from server.models.config.quality import ChatQuality, SpeechQuality
from server.models.config.spec import FakeModel
from tests.models.config.test_catalog import Place

BOTH = "name: both\nengine: fake\nserves: [chat, speech]\nprice: {prompt_token: 1, character: 2, image: 3}\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def fake(**fields: object) -> FakeModel:
    return FakeModel.model_validate({"name": "m", "engine": "fake", **fields})


def test_its_own_name_stands_for_all_of_its_tasks(place: Place) -> None:
    catalog = place.config(both=BOTH).load()
    (public,) = catalog.public_models()
    assert list(public.tasks) == [Task.CHAT, Task.SPEECH]
    assert catalog.resolve("both", Task.CHAT)[0] is catalog.resolve("both", Task.SPEECH)[0] is catalog.models[0]
    assert (public.price.prompt_token, public.price.character, public.price.image) == (1, 2, 0)


def test_a_bundle_may_use_it_for_each_of_its_tasks_and_no_other(place: Place) -> None:
    bundle = "bundle: b\ntasks: {speech: both}\nnames: [{id: tts-1}]\n"
    catalog = place.config(both=BOTH, bundle=bundle).load()
    assert catalog.resolve("tts-1", Task.SPEECH)[0].name == "both"
    place.config(bundle=bundle.replace("speech", "image"))
    with pytest.raises(CatalogError, match="'both' is a model for chat and speech; models for image: none"):
        place.load()


@pytest.mark.parametrize(
    ("serves", "message"),
    [
        ("[]", r"both\.yaml:3: serves: Tuple should have at least 1 item"),
        ("[chat, chat]", r"both\.yaml:3: serves: a task is named twice"),
        ("[chat, cooking]", r"both\.yaml:3: serves\.1: Input should be 'chat'"),
        ("cooking", r"both\.yaml:3: serves\.0: Input should be 'chat'"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(place: Place, serves: str, message: str) -> None:
    place.config(both=BOTH.replace("[chat, speech]", serves))
    with pytest.raises(CatalogError, match=message):
        place.load()


def test_a_tasks_quality_is_found_by_the_task() -> None:
    model = fake(serves=["speech", "chat"], quality={"ultra": {"takes": 3}})
    speech, chat = model.quality_for(Task.SPEECH), model.quality_for(Task.CHAT)
    assert isinstance(speech, SpeechQuality)
    assert speech.ultra.takes == 3
    assert chat == ChatQuality()
    assert fake(serves="chat").quality_for(Task.CHAT) == ChatQuality()


def test_a_task_need_not_have_qualities() -> None:
    model = fake(serves=["chat", "speech"], quality=None)
    assert [model.quality_for(task) for task in model.tasks] == [None, None]
    assert fake(serves="chat").quality_for(Task.IMAGE) is None
