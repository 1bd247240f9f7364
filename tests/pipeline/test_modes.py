"""From a job and a mode to a plan: the table of what each mode does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.core import Ask, ChatJob, Constraint, Facts, ImageJob, Job, Quality, SpeechJob, Task, Tool, TranscriptionJob
from server.errors import InvalidRequest, ModelNotFound
from server.models.config.catalog import check_configs
from server.models.config.quality import ChatQuality
from server.models.config.spec import (
    Adapter,
    DiffusersModel,
    FakeModel,
    ModelSpec,
    PiperModel,
    Price,
    VllmModel,
    WhisperModel,
)
from server.pipeline.modes import plan_for
from server.pipeline.pricing import bound
from server.pipeline.strategies.chat.probably_right import verdict_job
from tests.pipeline.working import asking

VOICES: Any = {"joe": {"file": "joe.onnx"}, "small": {"file": "small.onnx"}}
MODELS: dict[str, ModelSpec] = {
    "chat": VllmModel.model_validate(
        {"name": "chat", "engine": "vllm", "path": "x", "quality": {"reasoning_switch": "enable_thinking"}}
    ),
    "plain": VllmModel.model_validate(
        {"name": "plain", "engine": "vllm", "path": "x", "quality": {"high": {"check": False}}}
    ),
    "pirate": VllmModel(name="chat", engine="vllm", path="x").adapted(Adapter(name="pirate", path="y")),
    "a:b": VllmModel(name="a:b", engine="vllm", path="x"),
    "ears": WhisperModel(name="ears", engine="whisper", path="x"),
    "mute": PiperModel(name="mute", engine="piper", path="x", voices=VOICES),
    "voice": PiperModel.model_validate(
        {
            "name": "voice",
            "engine": "piper",
            "path": "x",
            "voices": VOICES,
            "quality": {"low": {"voices": {"joe": "small"}}, "ultra": {"transcriber": "ears", "takes": 3}},
        }
    ),
    "alone": PiperModel.model_validate(
        {"name": "alone", "engine": "piper", "path": "x", "voices": VOICES, "quality": {"ultra": {"transcriber": "no"}}}
    ),
    "painter": DiffusersModel(name="painter", engine="diffusers", path="x", size=(64, 64), steps=12),
}


class Catalog:
    def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
        spec = MODELS.get(name)
        if spec is None:
            raise ModelNotFound.named(name)
        if task not in spec.tasks:
            raise ModelNotFound.named(name, task, ())
        return spec, Price()


Asked = tuple[Ask, Job]


def chat(quality: str | None = None, model: str = "chat", *, budget: float | None = None, **changes: Any) -> Asked:
    job = ChatJob(messages=({"role": "user", "content": "Tell me about the sea."},))
    ask = asking(model, quality=quality and Quality(quality), budget=budget)
    return ask, replace(job, **changes)


def passes(asked: Asked) -> list[str]:
    return [one.name for one in plan_for(*asked, Catalog()).passes]


@pytest.mark.parametrize(
    ("mode", "strategy", "names", "limit", "temperature", "thinking"),
    [
        ("low", "single", ["answer"], 128, 0.2, False),
        ("medium", "single", ["answer"], None, None, None),
        ("high", "checked", ["draft", "check"], 1024, 0.4, True),
        ("ultra", "refined", ["drafts", "judge", "critique", "rewrite", "compare"], 1024, 0.7, True),
    ],
)
def test_the_modes_of_chat(
    mode: str, strategy: str, names: list[str], limit: int | None, temperature: float | None, thinking: bool | None
) -> None:
    plan = plan_for(*chat(mode), Catalog())
    assert (plan.quality, plan.strategy.name) == (Quality(mode), strategy)
    said = () if limit is None else (f"the mode sets max_tokens {limit} (not the room that is left)",)
    assert (plan.reason, plan.notes) == ("; ".join(["asked for", *said]), said)
    assert passes(chat(mode)) == names
    assert isinstance(plan.job, ChatJob)
    assert (plan.job.max_tokens, plan.job.temperature) == (limit, temperature)
    assert (plan.job.chat_template_kwargs or {}).get("enable_thinking") is thinking
    assert not plan.limited


def test_what_the_client_says_wins_over_the_mode() -> None:
    arguments = {"enable_thinking": True, "other": 1}
    plan = plan_for(*chat("low", max_tokens=7, temperature=1.5, top_p=0.3, chat_template_kwargs=arguments), Catalog())
    assert isinstance(plan.job, ChatJob)
    assert (plan.job.max_tokens, plan.job.temperature, plan.job.top_p) == (7, 1.5, 0.3)
    assert plan.job.chat_template_kwargs == arguments
    assert plan.limited


def test_reasoning_effort_leaves_the_switch_alone() -> None:
    job = plan_for(*chat("low", reasoning_effort="high"), Catalog()).job
    assert isinstance(job, ChatJob)
    assert job.chat_template_kwargs is None


def test_auto_never_shortens_the_default_limit() -> None:
    plan = plan_for(*chat(), Catalog(), lambda _: 1.0)
    assert plan.quality is Quality.LOW
    assert isinstance(plan.job, ChatJob)
    assert plan.job.max_tokens is None
    assert plan.reason.startswith("busy (100%)")
    assert not plan.notes


@pytest.mark.parametrize(
    ("changes", "mode", "strategy", "note"),
    [
        ({"tools": (Tool("f"),), "tool_choice": "auto"}, "high", "single", "no check, which tools could not follow"),
        ({"output_schema": {}}, "ultra", "drafts", "drafts and a choice only, which keep response_format valid"),
        (
            {"constraint": Constraint("regex", "a+"), "form_field": "guided_regex"},
            "ultra",
            "drafts",
            "drafts and a choice only, which keep guided_regex valid",
        ),
        ({"top_logprobs": 2}, "ultra", "drafts", "drafts and a choice only, which keep logprobs valid"),
        ({"n": 3}, "ultra", "single", "one pass for the 3 answers asked for"),
        ({"temperature": 0.0}, "ultra", "checked", "one draft, since at temperature 0 all are alike"),
        ({"tools": (Tool("f"),)}, "ultra", "refined", ""),
    ],
)
def test_a_plan_falls_back_to_what_keeps_the_answers_form(
    changes: dict[str, Any], mode: str, strategy: str, note: str
) -> None:
    plan = plan_for(*chat(mode, max_tokens=99, **changes), Catalog())
    assert plan.strategy.name == strategy
    assert plan.reason == ("asked for; " + note if note else "asked for")


def test_a_config_turns_the_check_off() -> None:
    assert passes(chat("high", model="plain")) == ["answer"]
    assert passes(chat("ultra", model="plain", temperature=0.0)) == ["answer"]


@pytest.mark.parametrize(
    ("changes", "strategy", "names"),
    [
        ({"judge": False, "rewrite": False}, "drafts", ["drafts"]),
        ({"judge": False}, "refined", ["drafts", "critique", "rewrite", "compare"]),
        ({"rewrite": False}, "refined", ["drafts", "judge"]),
        ({"drafts": 1}, "checked", ["draft", "check"]),
    ],
)
def test_a_config_leaves_out_passes_that_do_not_pay(changes: dict[str, Any], strategy: str, names: list[str]) -> None:
    spec = MODELS["plain"].model_copy(update={"quality": ChatQuality.model_validate({"ultra": changes})})

    class One(Catalog):
        def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
            return spec, Price()

    plan = plan_for(*chat("ultra"), One())
    assert (plan.strategy.name, [one.name for one in plan.passes]) == (strategy, names)


@pytest.mark.parametrize(
    ("name", "quality", "model", "mode"),
    [
        ("chat:ultra", None, "chat", "ultra"),
        ("chat:HD", None, "chat", "high"),
        ("chat:standard", None, "chat", "medium"),
        ("chat:auto", None, "chat", "medium"),
        ("chat:ultra", "low", "chat", "low"),
        ("a:b", None, "a:b", "medium"),
        ("a:b:low", None, "a:b", "low"),
    ],
)
def test_a_suffix_names_the_mode(name: str, quality: str | None, model: str, mode: str) -> None:
    plan = plan_for(*chat(quality, model=name), Catalog())
    assert (plan.model, plan.quality) == (model, Quality(mode))


def test_a_suffix_that_is_no_mode_is_told_as_such() -> None:
    with pytest.raises(InvalidRequest, match="auto, low, medium, high or ultra") as caught:
        plan_for(*chat(model="chat:best"), Catalog())
    assert caught.value.param == "quality"
    with pytest.raises(ModelNotFound, match="no:best"):
        plan_for(*chat(model="no:best"), Catalog())
    with pytest.raises(ModelNotFound, match="no"):
        plan_for(*chat(model="no:ultra"), Catalog())


@pytest.mark.parametrize(
    ("mode", "beam", "fallback", "vad", "names"),
    [
        ("low", 1, False, None, ["answer"]),
        ("medium", None, True, None, ["answer"]),
        ("high", 5, True, True, ["answer"]),
        ("ultra", 5, True, True, ["listen", "listen again"]),
    ],
)
def test_the_modes_of_transcription(
    mode: str, beam: int | None, fallback: bool, vad: bool | None, names: list[str]
) -> None:
    asked = asking("ears", quality=Quality(mode)), TranscriptionJob(audio=b"")
    planned = plan_for(*asked, Catalog()).job
    assert isinstance(planned, TranscriptionJob)
    assert (planned.beam_size, planned.fallback, planned.vad) == (beam, fallback, vad)
    assert passes(asked) == names


def test_the_modes_of_speech() -> None:
    low = plan_for(asking("voice", quality=Quality.LOW), SpeechJob(text="x"), Catalog()).job
    assert isinstance(low, SpeechJob)
    assert low.instead == {"joe": "small"}
    ultra = plan_for(asking("voice", quality=Quality.ULTRA), SpeechJob(text="x"), Catalog())
    assert [(one.name, one.answers) for one in ultra.passes] == [("takes", 3), ("read back", 3)]
    assert ultra.passes[1].by is not None
    assert ultra.passes[1].by[0].name == "ears"
    assert ultra.candidates == 3


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("mute", "asked for; one take, since no transcription model is configured to read takes back"),
        ("alone", "asked for; one take, since the transcription model no is not installed"),
    ],
)
def test_without_ears_there_is_one_take_and_it_is_said(model: str, reason: str) -> None:
    plan = plan_for(asking(model, quality=Quality.ULTRA), SpeechJob(text="x"), Catalog())
    assert (plan.strategy.name, plan.reason) == ("single", reason)


@pytest.mark.parametrize(("mode", "steps"), [("low", 6), ("medium", 12), ("high", 18), ("ultra", 18)])
def test_the_modes_of_images(mode: str, steps: int) -> None:
    ask, job = asking("painter", quality=Quality(mode)), ImageJob(prompt="x", n=2)
    plan = plan_for(ask, job, Catalog())
    assert isinstance(plan.job, ImageJob)
    assert plan.job.steps == steps
    drawn = plan_for(ask, replace(job, steps=3, guidance=1.5), Catalog()).job
    assert isinstance(drawn, ImageJob)
    assert (drawn.steps, drawn.guidance) == (3, 1.5)


def test_ultra_draws_candidates_and_draws_over_the_best() -> None:
    plan = plan_for(asking("painter", quality=Quality.ULTRA), ImageJob(prompt="x", n=2), Catalog())
    assert [(one.name, one.answers) for one in plan.passes] == [("candidates", 8), ("refine", 2)]
    again = plan.passes[1].job
    assert isinstance(again, ImageJob)
    assert (again.strength, again.enlarge) == (0.3, 1.5)
    assert plan.candidates == 4


def test_the_clients_budget_wins() -> None:
    assert plan_for(*chat("ultra"), Catalog()).budget == 120
    assert plan_for(*chat("ultra", budget=0.5), Catalog()).budget == 0.5
    assert plan_for(*chat("high"), Catalog()).budget is None


def test_an_adapters_name_is_its_models_job_with_the_adapter() -> None:
    plan = plan_for(*chat("ultra", "pirate"), Catalog())
    assert plan.spec.name == "chat"
    assert isinstance(plan.job, ChatJob)
    assert (plan.model, plan.job.adapter) == ("pirate", "pirate")
    assert verdict_job(plan.job, "Salt.").adapter == "pirate"
    plain = plan_for(*chat(), Catalog()).job
    assert isinstance(plain, ChatJob)
    assert plain.adapter is None


@pytest.mark.parametrize("asked", [None, "ultra"])
def test_a_model_without_qualities_does_a_job_in_one_pass(asked: str | None) -> None:
    plain = FakeModel(name="plain", engine="fake", serves=Task.CHAT, quality=None)

    class Plain(Catalog):
        def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
            return plain, Price()

    plan = plan_for(*chat(asked, "plain"), Plain())
    assert [one.name for one in plan.passes] == ["answer"]
    assert isinstance(plan.job, ChatJob)
    assert plan.job.max_tokens is None
    assert "one mode" in plan.reason


def test_the_starter_image_models_ultra_is_the_picture_of_high_at_its_price() -> None:
    (spec,) = [one.spec for one in check_configs(Path("model_configs")).models if one.spec.name == "starter-image"]

    class Starter:
        def resolve(self, name: str, task: Task) -> tuple[ModelSpec, Price]:
            assert (name, task) == ("starter-image", Task.IMAGE)
            return spec, spec.price

    job = ImageJob(prompt="red heart", n=2, seed=3)
    high, ultra = (
        plan_for(asking("starter-image", quality=quality), job, Starter()) for quality in (Quality.HIGH, Quality.ULTRA)
    )
    assert ultra.job == high.job
    assert [one.name for one in ultra.passes] == [one.name for one in high.passes] == ["answer"]
    assert bound(ultra, Facts()) == bound(high, Facts())
