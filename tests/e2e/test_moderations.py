"""The example config of a moderating model as it is shipped, over a tiny classifier, through openai-python."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from openai import BadRequestError, OpenAI

from tests.e2e.live import ROOT, LiveServer
from tests.tiny_encoders import make_encoder

LABELS = ("S", "H", "V", "HR", "SH", "S3", "H2", "V2", "OK")
NAMES = ("omni-moderation-latest", "omni-moderation-2024-09-26", "text-moderation-latest", "text-moderation-stable")
UNSEEN = {"harassment/threatening", "illicit", "illicit/violent", "self-harm/intent", "self-harm/instructions"}
"""Categories that the example has no label for."""


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    weights = tmp_path_factory.mktemp("guard")
    make_encoder(weights, classifier=True, labels=LABELS, problem_type="single_label_classification")

    def change(configs: Path) -> None:
        example = (ROOT / "model_configs" / "examples" / "moderation.yaml").read_text()
        (configs / "moderation.yaml").write_text(example.replace("path: text-moderation", f"path: {weights}"))

    settings = {"models": "text-moderation"}
    live = LiveServer(tmp_path_factory.mktemp("server"), settings=settings, change=change)
    try:
        live.wait_announced()
        live.wait_ready(fresh=True)
        yield live
    finally:
        live.stop()


@pytest.fixture
def sdk(guard: LiveServer) -> Iterator[OpenAI]:
    with closing(guard.client()) as client:
        yield client


@pytest.mark.parametrize("model", [*NAMES, "text-moderation"])
def test_each_name_moderates(sdk: OpenAI, model: str) -> None:
    answer = sdk.moderations.create(model=model, input=["red", "hello world " * 20])
    assert answer.model == model
    for result in answer.results:
        scores = result.category_scores.model_dump(by_alias=True)
        looked_for = result.category_applied_input_types.model_dump(by_alias=True)
        assert {category for category, kinds in looked_for.items() if kinds == []} == UNSEEN
        assert {category for category, score in scores.items() if score == 0} == UNSEEN
        flags = result.categories.model_dump(by_alias=True)
        assert flags == {category: score >= 0.5 for category, score in scores.items()}
        assert result.flagged == any(flags.values())
        # Of a softmax: what is missing is the share of the label for harmless texts.
        assert 0 < sum(scores.values()) < 1


def test_without_a_model_the_first_answers(sdk: OpenAI) -> None:
    assert sdk.moderations.create(input="red").model == "text-moderation"


def test_what_is_too_long_for_its_windows_is_refused_by_name(sdk: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        sdk.moderations.create(model="omni-moderation-latest", input=["red", "red " * 300])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input[1]")


def test_the_model_says_what_it_does(guard: LiveServer, sdk: OpenAI) -> None:
    found = httpx.get(f"{guard.url}/v1/models/{NAMES[0]}", headers={"Authorization": f"Bearer {guard.key}"}).json()
    assert found["capabilities"] == ["moderation"]
    with pytest.raises(BadRequestError) as caught:
        sdk.moderations.create(
            input=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}], model=NAMES[0]
        )
    assert caught.value.param == "input[0].type"
