"""Limits and ways of drawing where the client says none: the names' documented ones, and what a mode may change."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from server.core import ChatJob, Facts, Quality, Task
from server.models.config.catalog import Catalog, CatalogError
from server.models.config.spec import ModelSpec, Price, VllmModel
from server.pipeline.modes import plan_for
from server.pipeline.plan import Plan
from server.pipeline.pricing import bound
from tests.pipeline.working import asking

JOB = ChatJob(messages=({"role": "user", "content": "Tell me about the sea."},))
MODEL = """
name: own
engine: fake
serves: chat
defaults: {temperature: 0.6}
quality:
  low: {max_tokens: 128, temperature: 0.2}
  medium: {temperature: 0.3, top_p: 0.9}
  high: {max_tokens: 512, temperature: 0}
"""
BUNDLE = """
bundle: seed
tasks: {chat: own}
defaults: {max_tokens: 256, temperature: 1.0, top_p: 1.0}
names: [{id: seed}]
---
bundle: later
tasks: {chat: own}
names: [{id: later}]
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "own.yaml").write_text(MODEL)
    (tmp_path / "bundle.yaml").write_text(BUNDLE)
    return Catalog.load(tmp_path, tmp_path, None)


def planned(catalog: Any, model: str, mode: str | None = None, *, load: float = 0.0, **fields: Any) -> Plan:
    ask = asking(model, quality=mode and Quality(mode))
    return plan_for(ask, replace(JOB, **fields), catalog, lambda _: load)


def drawn(plan: Plan) -> tuple[int | None, float | None, float | None]:
    assert isinstance(plan.job, ChatJob)
    return plan.job.max_tokens, plan.job.temperature, plan.job.top_p


def test_the_documented_defaults_hold_for_their_names_alone(catalog: Catalog) -> None:
    assert drawn(planned(catalog, "seed")) == (256, 1.0, 1.0)
    assert drawn(planned(catalog, "later")) == drawn(planned(catalog, "own")) == (None, 0.6, 0.9)
    assert planned(catalog, "seed").notes == ()


def test_auto_keeps_them_whichever_mode_it_takes(catalog: Catalog) -> None:
    busy = planned(catalog, "seed", load=1.0)
    hard = planned(catalog, "seed", messages=({"role": "user", "content": "What is 17 + 4?"},))
    assert [busy.quality, hard.quality] == [Quality.LOW, Quality.HIGH]
    assert drawn(busy) == drawn(hard) == (256, 1.0, 1.0)
    assert drawn(planned(catalog, "own", load=1.0))[0] is None


@pytest.mark.parametrize(
    ("name", "mode", "found", "said"),
    [
        ("seed", "low", (128, 0.2, 1.0), "the mode sets max_tokens 128 (not 256), temperature 0.2 (not 1)"),
        ("seed", "medium", (256, 0.3, 0.9), "the mode sets temperature 0.3 (not 1), top_p 0.9 (not 1)"),
        ("seed", "high", (512, 0.0, 1.0), "the mode sets max_tokens 512 (not 256), temperature 0 (not 1)"),
        (
            "own",
            "high",
            (512, 0.0, None),
            "the mode sets max_tokens 512 (not the room that is left), temperature 0 (not 0.6)",
        ),
    ],
)
def test_a_mode_that_the_client_chose_changes_them_and_says_so(
    catalog: Catalog, name: str, mode: str, found: Any, said: str
) -> None:
    plan = planned(catalog, name, mode)
    assert drawn(plan) == found
    assert plan.notes == (said,)
    assert plan.reason.startswith(f"asked for; {said}")


def test_what_the_client_says_needs_no_word(catalog: Catalog) -> None:
    plan = planned(catalog, "seed", "low", max_tokens=7, temperature=0.9, top_p=0.8)
    assert (drawn(plan), plan.notes) == ((7, 0.9, 0.8), ())


def test_a_limit_that_nobody_asked_for_gives_way_to_a_least_length(catalog: Catalog) -> None:
    assert drawn(planned(catalog, "seed", min_tokens=300))[0] == 300
    assert drawn(planned(catalog, "seed", "low", min_tokens=300))[0] == 300
    assert drawn(planned(catalog, "own", min_tokens=300))[0] is None


def test_the_least_length_is_what_an_answer_costs_at_least(catalog: Catalog) -> None:
    class Priced:
        def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
            return catalog.resolve(name, task)[0], Price(completion_token=Decimal(1))

    bounds = bound(planned(Priced(), "own", min_tokens=30), Facts(prompt_tokens=3, room=4000))
    assert (bounds.least, bounds.most) == (30, 4000)


def test_defaults_are_for_names_that_chat(tmp_path: Path) -> None:
    (tmp_path / "ears.yaml").write_text("name: ears\nengine: fake\nserves: transcription\n")
    bundle = "bundle: b\ntasks: {transcription: ears}\ndefaults: {max_tokens: 5}\nnames: [{id: b}]\n"
    (tmp_path / "bundle.yaml").write_text(bundle)
    with pytest.raises(CatalogError, match="defaults are for chat"):
        Catalog.load(tmp_path, tmp_path, None)


def test_an_adapter_keeps_its_name_under_a_bundles_defaults(tmp_path: Path) -> None:
    for folder in ("m", "a"):
        (tmp_path / folder).mkdir()
        for file in ("config.json", "adapter_config.json", "model.safetensors", "adapter_model.safetensors"):
            (tmp_path / folder / file).write_text("{}")
        (tmp_path / folder / "tokenizer.json").write_text("{}")
    (tmp_path / "m.yaml").write_text("name: m\nengine: vllm\npath: m\nadapters: [{name: a, path: a}]\n")
    bundle = "bundle: b\ntasks: {chat: a}\ndefaults: {max_tokens: 5}\nnames: [{id: b}]\n"
    (tmp_path / "b.yaml").write_text(bundle)
    spec, _ = Catalog.load(tmp_path, tmp_path, None).resolve("b", Task.CHAT)
    assert isinstance(spec, VllmModel)
    assert (spec.name, spec.defaults.max_tokens, getattr(spec, "adapter", None)) == ("m", 5, "a")


def test_the_eight_names_of_the_starter_bundle_have_the_documented_defaults() -> None:
    from server.models.config.catalog import check_configs

    configs = check_configs(Path("model_configs"))
    names = {name.id: one.spec.defaults for one in configs.bundles for name in one.spec.names}
    eight = (
        *("deepseek-v4-flash", "deepseek-v4-pro", "deepseek-reasoner", "claude-sonnet-4-20250514"),
        *("claude-haiku-3.5", "o3-mini", "gpt-4o", "gpt-4o-mini"),
    )
    for name, defaults in names.items():
        if name in eight:
            assert defaults is not None
            assert (defaults.max_tokens, defaults.temperature, defaults.top_p) == (256, 1.0, 1.0)
        else:
            assert defaults is None, f"{name} is not in the seed's list"
