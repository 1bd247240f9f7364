"""Images by diffusers: the steps of a drawing, and a tiny real pipeline through the handler."""

import importlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from server.core import ChatJob, Facts, Picture, Usage
from server.engines.base import WAITING
from server.engines.diffusers.denoising import Denoising, Step
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable
from tests.reading import handled
from tests.tiny_drawing import job, load, pictures, pixels

# ---------------------------------------------------------------- the loop


class Scheduler:
    """As a diffusers scheduler: `step` returns what the test says."""

    config = SimpleNamespace()

    def __init__(self, *answer: Any) -> None:
        self.timesteps = range(3)
        self.answer = answer

    def step(self, model_output: Any, timestep: Any, sample: Any, eta: float = 0.0, return_dict: bool = True) -> Any:
        return self.answer


@pytest.mark.parametrize(("answer", "clean"), [(("noisy", "clean"), "clean"), (("noisy",), "noisy")])
def test_the_predicted_clean_sample_is_preferred(answer: tuple[str, ...], clean: str) -> None:
    scheduler = Scheduler(*answer)
    heard: list[Step] = []
    with Denoising(scheduler).heard_by(heard.append):
        assert scheduler.step("output", 1, "sample", return_dict=False) == answer
        scheduler.step("output", 0, "sample", return_dict=False)
    assert heard == [Step(1, 3, clean), Step(2, 3, clean)]
    scheduler.step("output", 0, "sample")
    assert len(heard) == 2


def test_pipelines_still_see_what_a_step_takes() -> None:
    inspect = importlib.import_module("inspect")
    scheduler = Scheduler()
    Denoising(scheduler)
    assert "eta" in inspect.signature(scheduler.step).parameters


# ---------------------------------------------------------------- a real pipeline, tiny


@pytest.fixture(scope="module")
def tiny() -> Any:
    """The builder; importing it imports torch."""
    return importlib.import_module("tests.tiny_pipeline")


@pytest.fixture(scope="module")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = tiny.build(tmp_path_factory.mktemp("tiny") / "pipeline")
    return built


@pytest.fixture(scope="module")
def handler(folder: Path) -> Any:
    return load(folder)


def test_a_job_begins_accepted_and_ends_with_its_usage(handler: Any) -> None:
    first, *middle, last = [event for event in handled(handler, job(n=2, seed=5)) if event not in (None, WAITING)]
    assert first == Facts(prompt_tokens=11)  # nine letters and two marks
    assert [(event.index, event.seed, event.partial, event.width, event.height) for event in middle] == [
        (0, 5, None, 32, 32),
        (1, 6, None, 32, 32),
    ]
    assert last == Usage(prompt_tokens=11, images=2, details={"steps": 4, "seed": 5, "size": "32x32"})
    assert pixels(middle[0]).shape == (32, 32, 3)
    assert pixels(middle[0]).std() > 1


def test_a_seed_names_its_picture_whatever_the_batch(handler: Any, folder: Path) -> None:
    together = pictures(handler, n=3, seed=7)
    again = pictures(handler, n=3, seed=7)
    assert [one.data for one in together] == [one.data for one in again]
    alone = pictures(handler, seed=9)[0]
    in_turns = pictures(load(folder, max_batch=1), n=3, seed=7)
    for one, other in [(alone, together[2]), *zip(in_turns, together, strict=True)]:
        # Sums of other batch sizes are ordered otherwise: the last bit of a colour may differ.
        assert np.abs(pixels(one) - pixels(other)).max() <= 1
    assert np.abs(pixels(together[0]) - pixels(together[1])).max() > 10


def test_without_a_seed_every_job_differs(handler: Any) -> None:
    first, second = pictures(handler)[0], pictures(handler)[0]
    assert first.seed != second.seed
    assert first.data != second.data


def test_seeds_wrap_round_at_their_end(handler: Any) -> None:
    assert [one.seed for one in pictures(handler, n=2, seed=2**63 - 1, steps=1)] == [2**63 - 1, 0]


def test_more_than_a_batch_is_drawn_in_turns(folder: Path) -> None:
    drawn = pictures(load(folder, max_batch=2), n=5, seed=1, steps=1)
    assert [one.index for one in drawn] == [0, 1, 2, 3, 4]
    assert [one.seed for one in drawn] == [1, 2, 3, 4, 5]


def test_guidance_negative_prompts_and_steps_change_the_picture(handler: Any) -> None:
    plain = pictures(handler, seed=1)[0]
    for change in ({"guidance": 1.0}, {"guidance": 0.0}, {"negative_prompt": "blue"}, {"steps": 7}, {"width": 64}):
        assert pictures(handler, seed=1, **change)[0].data != plain.data


def test_previews_approach_the_picture(handler: Any) -> None:
    drawn = pictures(handler, seed=1, steps=20, partial_images=3, format="webp", n=2)
    assert [(one.index, one.partial) for one in drawn] == [
        *[(index, partial) for partial in range(3) for index in range(2)],
        *[(0, None), (1, None)],
    ]
    final = pixels(drawn[-2])
    distances = [float(np.abs(pixels(one) - final).mean()) for one in drawn[:6:2]]
    assert distances == sorted(distances, reverse=True)
    assert {Image.open(BytesIO(one.data)).format for one in drawn} == {"WEBP"}


@pytest.mark.parametrize(("steps", "previews"), [(1, 0), (2, 1), (3, 2), (4, 3)])
def test_few_steps_give_few_previews(handler: Any, steps: int, previews: int) -> None:
    drawn = pictures(handler, steps=steps, partial_images=3)
    assert [one.partial for one in drawn] == [*range(previews), None]


def test_other_sizes_are_drawn_or_resampled(handler: Any, folder: Path) -> None:
    drawn = pictures(handler, width=48, height=32, seed=1)[0]
    assert (drawn.width, drawn.height) == (48, 32)
    assert pixels(drawn).shape == (32, 48, 3)
    nearest = load(folder, sizes=("32x32", "64x64"), resample="nearest")
    small, large = pictures(nearest, seed=1)[0], pictures(nearest, seed=1, width=64, height=64)[0]
    assert np.array_equal(pixels(large)[::2, ::2], pixels(small))
    with pytest.raises(InvalidRequest, match="32x32, 64x64"):
        next(handled(nearest, job(width=48, height=48)))


@pytest.mark.parametrize(("fields", "param"), [({"steps": 1001}, "steps"), ({"width": 33, "height": 33}, "size")])
def test_what_the_model_cannot_do_is_refused_before_the_work(handler: Any, fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        next(handled(handler, job(**fields)))
    assert refused.value.param == param


def test_a_chat_job_is_refused(handler: Any) -> None:
    with pytest.raises(InvalidRequest):
        next(handled(handler, ChatJob(messages=())))


def test_a_closed_job_stops_within_a_step_and_frees_the_pipeline(handler: Any) -> None:
    taken: list[int] = []
    scheduler = handler.form_for(job()).pipeline.scheduler
    take_step = scheduler.step

    def counted(*args: Any, **kwargs: Any) -> Any:
        taken.append(1)
        return take_step(*args, **kwargs)

    events: Iterator[Any] = handled(handler, job(steps=900))
    assert isinstance(next(events), Facts)
    scheduler.step = counted
    try:
        while not taken:
            assert next(events) in (None, WAITING)  # a step may last for longer than one waits
        events.close()  # type: ignore[attr-defined]
        stopped = len(taken)
    finally:
        scheduler.step = take_step
    assert stopped < 900
    assert len(pictures(handler, steps=1)) == 1
    assert len(taken) == stopped


def test_a_job_that_waits_for_another_can_be_closed(handler: Any) -> None:
    held, go_on = threading.Event(), threading.Event()
    scheduler = handler.form_for(job()).pipeline.scheduler
    take_step = scheduler.step

    def hold(*args: Any, **kwargs: Any) -> Any:
        held.set()
        go_on.wait(10)
        return take_step(*args, **kwargs)

    scheduler.step = hold
    try:
        with ThreadPoolExecutor(1) as other:
            occupied = other.submit(pictures, handler, steps=1)
            assert held.wait(10)
            events = handled(handler, job())
            assert isinstance(next(events), Facts)
            assert next(events) is None
            events.close()
            assert not occupied.done()
            go_on.set()
            assert len(occupied.result(10)) == 1
    finally:
        scheduler.step = take_step
    assert len(pictures(handler, steps=1)) == 1


def test_a_step_that_lasts_is_told_from_one_that_has_ended(handler: Any) -> None:
    """By that a job that hangs is found."""
    go_on = threading.Event()
    scheduler = handler.form_for(job()).pipeline.scheduler
    take_step = scheduler.step

    def hold(*args: Any, **kwargs: Any) -> Any:
        go_on.wait(10)
        return take_step(*args, **kwargs)

    scheduler.step = hold
    try:
        events = handled(handler, job(steps=1))
        assert isinstance(next(events), Facts)
        assert next(event for event in events if event is not None) is WAITING
        go_on.set()
        assert None in list(events)
    finally:
        go_on.set()
        scheduler.step = take_step


def test_transparency_survives_a_pipeline_that_draws_it(tiny: Any, tmp_path: Path) -> None:
    clear = load(tiny.build(tmp_path / "clear", channels=4, scheduler="euler"))
    drawn = pictures(clear, seed=1, partial_images=1)
    assert [pixels(one).shape for one in drawn] == [(32, 32, 4), (32, 32, 4)]
    assert pixels(pictures(clear, seed=1, format="jpeg")[0]).shape == (32, 32, 3)


def test_broken_arithmetic_is_an_error_not_a_black_picture(tiny: Any, tmp_path: Path) -> None:
    broken = load(tiny.build(tmp_path / "broken", broken=True))
    drawn = []
    with pytest.raises(EngineFailed):
        drawn += list(handled(broken, job(partial_images=3)))
    assert not [event for event in drawn if isinstance(event, Picture)]


def test_the_flow_estimate_recovers_the_clean_sample(tiny: Any) -> None:
    import torch

    scheduler = tiny.flow_scheduler()
    clean, noise = torch.full((1, 4, 2, 2), 3.0), torch.randn(1, 4, 2, 2)
    heard: list[Step] = []
    with Denoising(scheduler).heard_by(heard.append):
        for number in (0, 1):
            sigma = scheduler.sigmas[number]
            sample = (1 - sigma) * clean + sigma * noise
            scheduler.step(noise - clean, scheduler.timesteps[number], sample, return_dict=False)
    for step in heard:
        torch.testing.assert_close(step.latents, clean)


# ---------------------------------------------------------------- folders that don't load


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"holds no model_index\.json"):
        load(tmp_path)


def test_pickled_weights_are_refused_without_a_path_in_the_message(tiny: Any, tmp_path: Path) -> None:
    folder = tiny.build(tmp_path / "pickled", safetensors=True)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="safetensors") as refused:
        load(folder)
    assert str(tmp_path) not in refused.value.message


def test_a_folder_with_code_of_its_own_is_refused(folder: Path, tmp_path: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = ["mine", "MyPipeline"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "mine.py").write_text("raise SystemExit('this code must not run')")
    with pytest.raises(ModelUnavailable, match="code of its own"):
        load(tmp_path)
