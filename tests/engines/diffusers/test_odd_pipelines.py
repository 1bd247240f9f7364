"""Pipelines of which no more is known than their call: what they ignore, refuse, and how they break."""

import gc
import importlib
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from server.errors import EngineFailed, InvalidRequest, Overloaded
from tests.reading import handled
from tests.tiny_drawing import job, pictures


def refused(handler: Any, **fields: Any) -> InvalidRequest:
    """The error that comes before `Facts`."""
    with pytest.raises(InvalidRequest) as caught:
        next(handled(handler, job(**fields)))
    return caught.value


class Odd:
    """A pipeline by its call alone. Its denoiser takes one step and returns a grey picture."""

    def __init__(self, **parts: Any) -> None:
        self.scheduler = SimpleNamespace(
            step=lambda *_: ("noisy",), timesteps=range(1), config=SimpleNamespace(num_train_timesteps=1000)
        )
        self.called: dict[str, Any] = {}
        self.freed = 0
        for name, part in parts.items():
            setattr(self, name, part)

    def __call__(self, prompt: str, output_type: str, width: int = 64, height: int = 64) -> Any:
        return self._drawn(width, height)

    def _drawn(self, width: int, height: int, **called: Any) -> Any:
        self.called = called
        self.scheduler.step("output", 0, "sample")
        return SimpleNamespace(images=np.full((1, height, width, 3), 0.5))

    def maybe_free_model_hooks(self) -> None:
        self.freed += 1


class QwenLike(Odd):
    """True guidance by default, and only with a negative prompt; a guidance scale that this model does not read."""

    transformer = SimpleNamespace(config=SimpleNamespace(guidance_embeds=False))

    def __call__(  # type: ignore[override]
        self,
        prompt: str,
        output_type: str,
        negative_prompt: str | None = None,
        true_cfg_scale: float = 4.0,
        guidance_scale: float | None = None,
    ) -> Any:
        return self._drawn(64, 64, negative=negative_prompt, true=true_cfg_scale, guidance=guidance_scale)


def handler_of(pipeline: Any, **options: Any) -> Any:
    from server.engines.diffusers.handler import DiffusersHandler
    from server.engines.diffusers.load import DiffusersOptions

    return DiffusersHandler(pipeline, DiffusersOptions(path="", size=(64, 64), **options))


def test_true_guidance_gets_the_negative_prompt_without_which_it_is_off() -> None:
    pipeline = QwenLike()
    drawing = handler_of(pipeline, guidance=4.0)
    pictures(drawing)
    assert pipeline.called == {"negative": " ", "true": 4.0, "guidance": None}
    pictures(drawing, negative_prompt="blue", guidance=2.0)
    assert pipeline.called == {"negative": "blue", "true": 2.0, "guidance": None}
    pictures(drawing, guidance=1.0)
    assert pipeline.called == {"negative": None, "true": 1.0, "guidance": None}
    assert refused(drawing, guidance=1.0, negative_prompt="blue").param == "negative_prompt"


@pytest.mark.parametrize(
    ("fields", "param"), [({"steps": 5}, "steps"), ({"seed": 1}, "seed"), ({"guidance": 2.0}, "guidance")]
)
def test_what_a_call_has_no_parameter_for_is_refused(fields: dict[str, Any], param: str) -> None:
    assert refused(handler_of(Odd()), **fields).param == param


class Checking(Odd):
    """Refuses guidance below 1 and prompts with a bell by its own check, and wants multiples of 64."""

    def check_inputs(self, prompt: str, height: int, width: int, guidance_scale: float, callback_steps: int) -> None:
        if guidance_scale < 1:
            raise ValueError("`guidance_scale` has to be at least 1")
        if "\a" in prompt:
            raise ValueError("no bells")
        if height % 64 or width % 64:
            raise ValueError("64")
        if callback_steps != 1:
            raise ValueError("the default of the call is not known here")

    def __call__(  # type: ignore[override]
        self,
        prompt: str,
        output_type: str,
        width: int = 64,
        height: int = 64,
        guidance_scale: float = 5.0,
        callback_steps: int = 1,
    ) -> Any:
        return self._drawn(width, height)


def test_what_check_inputs_refuses_is_refused_before_the_work_and_names_the_field() -> None:
    drawing = handler_of(Checking())
    error = refused(drawing, guidance=0.5)
    assert error.param == "guidance"
    assert error.message == "The model's pipeline refuses this request: `guidance_scale` has to be at least 1"
    assert refused(drawing, prompt="\a").param == "prompt"
    assert "any multiples of 64 up to" in refused(drawing, width=96, height=64).message


class Breaking(Odd):
    """Raises on its way: `before` the first step or after it."""

    def __init__(self, error: Exception, *, before: bool) -> None:
        super().__init__()
        self.error = error
        self.before = before

    def __call__(
        self, prompt: str, output_type: str, width: int = 64, height: int = 64, num_inference_steps: int = 4
    ) -> Any:  # type: ignore[override]
        if self.error is not None and self.before:
            raise self.error
        drawn = self._drawn(width, height)
        if self.error is not None:
            raise self.error
        return drawn


def events(drawing: Any, **fields: Any) -> list[Any]:
    return list(handled(drawing, job(**fields)))


@pytest.mark.parametrize(("fields", "param"), [({"width": 65}, "size"), ({"steps": 2}, "steps"), ({}, None)])
def test_a_refusal_by_the_call_itself_is_a_bad_request(fields: dict[str, Any], param: str | None) -> None:
    with pytest.raises(InvalidRequest, match="The model's pipeline refuses a picture of") as caught:
        events(handler_of(Breaking(ValueError("no positions"), before=True)), **fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("error", "before"), [(ValueError("later"), False), (RuntimeError("shapes"), True), (IndexError(), False)]
)
def test_a_pipeline_that_breaks_says_so_and_the_next_job_is_drawn(error: Exception, before: bool) -> None:
    pipeline = Breaking(error, before=before)
    drawing = handler_of(pipeline)
    with pytest.raises(EngineFailed, match="The model's pipeline broke on this request"):
        events(drawing)
    pipeline.error = None  # type: ignore[assignment]
    assert len(pictures(drawing)) == 1


def test_a_full_gpu_is_told_and_the_next_job_is_drawn() -> None:
    torch = importlib.import_module("torch")
    pipeline = Breaking(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), before=False)
    drawing = handler_of(pipeline)
    with pytest.raises(Overloaded, match="too little memory left") as caught:
        events(drawing)
    assert caught.value.status == 503
    assert caught.value.headers["Retry-After"]
    assert caught.value.__context__ is None  # which would hold the tensors
    assert pipeline.freed == 1
    pipeline.error = None  # type: ignore[assignment]
    assert len(pictures(drawing)) == 1


def test_a_class_whose_prompts_lengthen_each_other_draws_only_equal_ones_together() -> None:
    """CogView4's denoiser reads what pads a prompt to the longest of its call, so the picture depends on that one."""
    padding = handler_of(type("CogView4Pipeline", (Odd,), {})())
    for drawing, together in ((padding, False), (handler_of(Odd()), True)):
        first, other, like = (
            drawing.read(job(prompt=prompt))._order.company for prompt in ("cat", "a blue cat", "cat")
        )
        assert (first == other) is together
        assert first == like


class Watched(Odd):
    """Knows what it has returned as long as somebody holds it."""

    def _drawn(self, width: int, height: int, **called: Any) -> Any:
        drawn = super()._drawn(width, height, **called)
        self.returned = weakref.ref(drawn.images)
        return drawn


def test_a_picture_that_waits_for_its_reader_does_not_hold_its_whole_batch() -> None:
    module = importlib.import_module("server.engines.diffusers.batcher")
    pipeline = Watched()
    drawing = handler_of(pipeline)
    member = module.Member(drawing.read(job())._order)
    drawing._batcher._draw(module.Batch([module.Row(member, 0)], lambda _: False))
    assert member.missing == 0
    gc.collect()
    assert pipeline.returned() is None


@pytest.mark.parametrize("kind", ["NobodyWaits", "BeginAgain", "InvalidRequest", "RuntimeError"])
def test_a_run_that_does_not_come_to_its_end_leaves_the_pipeline_as_the_end_of_its_call_does(kind: str) -> None:
    """Otherwise an offloaded denoiser stays on the GPU beside the text encoders of the next run."""
    module = importlib.import_module("server.engines.diffusers.batcher")
    errors: dict[str, Exception] = {
        "NobodyWaits": module.NobodyWaits(),
        "BeginAgain": module.BeginAgain(),
        "InvalidRequest": InvalidRequest("It can't."),
        "RuntimeError": RuntimeError("shapes"),
    }
    pipeline = Breaking(errors[kind], before=False)
    drawing = handler_of(pipeline)
    member = module.Member(drawing.read(job())._order)
    expected = EngineFailed if kind == "RuntimeError" else type(errors[kind])
    with pytest.raises(expected):
        drawing._batcher._draw(module.Batch([module.Row(member, 0)], lambda _: False))
    assert pipeline.freed == 1


def test_a_fault_of_the_gpu_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = importlib.import_module("torch")
    module = importlib.import_module("server.engines.diffusers.painting")

    class Ended(BaseException):
        pass

    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(module.os, "_exit", end)
    drawing = handler_of(Breaking(torch.AcceleratorError("CUDA error: device-side assert triggered"), before=False))
    with pytest.raises(Ended):
        events(drawing)
