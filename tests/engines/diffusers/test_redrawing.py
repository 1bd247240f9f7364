"""Pictures drawn over: from an encoded picture, by part of the steps, at a higher resolution."""

import importlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from server.core import Facts, Usage
from server.engines.base import WAITING
from server.errors import InvalidRequest
from tests.reading import handled
from tests.tiny_drawing import drawn_sizes, job, load, pictures, pixels


@pytest.fixture(scope="module")
def tiny() -> Any:
    return importlib.import_module("tests.tiny_pipeline")


@pytest.fixture(scope="module")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built: Path = tiny.build(tmp_path_factory.mktemp("redrawing") / "pipeline")
    return built


@pytest.fixture(scope="module")
def handler(folder: Path) -> Any:
    return load(folder)


def start(colour: str, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> bytes:
    buffer = BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_each_picture_begins_from_its_own_start(handler: Any) -> None:
    starts = (start("red"), start("blue"))
    accepted, *drawn, usage = [
        event
        for event in handled(handler, job(n=2, seed=3, starts=starts, strength=0.3, partial_images=3))
        if event not in (None, WAITING)
    ]
    assert isinstance(accepted, Facts)
    assert isinstance(usage, Usage)
    assert [(one.index, one.seed, one.partial) for one in drawn] == [(0, 3, None), (1, 4, None)]
    turned = pictures(handler, n=2, seed=3, starts=starts[::-1], strength=0.3)
    alone = pictures(handler, seed=4, starts=starts[1:], strength=0.3)[0]
    assert np.abs(pixels(alone) - pixels(drawn[1])).max() <= 1
    assert np.abs(pixels(turned[1]) - pixels(drawn[1])).max() > 1


def test_the_strength_says_how_many_of_the_steps_are_done(handler: Any) -> None:
    scheduler = handler.form_for(job()).pipeline.scheduler
    take_step, times = scheduler.step, []

    def timed(output: Any, time: Any, *args: Any, **kwargs: Any) -> Any:
        times.append(int(time))
        return take_step(output, time, *args, **kwargs)

    scheduler.step = timed
    try:
        for strength in (0.1, 0.5, 1.0):
            times.clear()
            pictures(handler, seed=1, starts=(start("red"),), steps=20, strength=strength)
            # From the noise of that share of the way: the last steps are those of a whole drawing.
            assert times == [1 + 50 * step for step in reversed(range(round(20 * strength)))]
    finally:
        scheduler.step = take_step


def test_the_same_seed_redraws_the_same_picture(handler: Any) -> None:
    first, again, other = (pictures(handler, seed=seed, starts=(start("red"),), strength=0.9)[0] for seed in (1, 1, 2))
    assert first.data == again.data
    assert first.data != other.data


@pytest.mark.parametrize("strength", [0.05, 0.1, 0.2, 0.3, 0.49, 1.0])
def test_a_step_is_done_however_small_the_strength(handler: Any, strength: float) -> None:
    assert len(pictures(handler, starts=(start("red"),), steps=1, strength=strength)) == 1


def test_it_is_drawn_larger_and_sent_at_the_size_that_was_asked_for(handler: Any, folder: Path) -> None:
    one = {"starts": (start("red"),), "strength": 0.5, "seed": 1}
    assert drawn_sizes(handler, enlarge=1.5, **one) == [(48, 48)]
    assert drawn_sizes(handler, enlarge=4.0, **one) == [(64, 64)]
    assert drawn_sizes(handler, width=48, height=32, enlarge=1.5, **one) == [(72, 48)]
    assert pixels(pictures(handler, enlarge=1.5, **one)[0]).shape == (32, 32, 3)
    resampled = load(folder, sizes=("128x128",), resample="nearest")
    sent = pictures(resampled, width=128, height=128, enlarge=1.5, **one)[0]
    assert (sent.width, sent.height) == (128, 128)
    assert not np.array_equal(pixels(sent)[::2], pixels(sent)[1::2])  # of 48 pixels, and smoothly


def test_text_to_image_is_as_before_it(handler: Any) -> None:
    before = pictures(handler, seed=1)[0].data
    pictures(handler, starts=(start("red"),), strength=0.5, scheduler="EulerDiscreteScheduler")
    assert pictures(handler, seed=1)[0].data == before


def test_the_weights_are_shared_and_the_form_is_made_once(handler: Any) -> None:
    form, plain = handler.form_for(job(starts=(start("red"),))), handler.form_for(job())
    assert form is handler.form_for(job(starts=(start("blue"),)))
    assert form.pipeline is not plain.pipeline
    assert form.pipeline.unet is plain.pipeline.unet


def test_more_than_a_batch_is_drawn_in_turns(folder: Path) -> None:
    starts = tuple(start(colour) for colour in ("red", "blue", "green"))
    drawn = pictures(load(folder, max_batch=2), n=3, seed=1, starts=starts, strength=0.5, negative_prompt="blue")
    assert [(one.index, one.seed) for one in drawn] == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("mode", ["RGBA", "L"])
def test_a_start_of_other_channels_is_refused_before_the_work(handler: Any, mode: str) -> None:
    with pytest.raises(InvalidRequest, match="plain RGB") as refused:
        next(handled(handler, job(starts=(start("red", mode=mode),))))
    assert refused.value.param == "image"


def test_a_pipeline_without_such_a_form_refuses() -> None:
    from server.engines.diffusers.form import Form

    class OddPipeline:
        config: dict[str, Any] = {}  # noqa: RUF012

        def __call__(self, prompt: str, output_type: str) -> None: ...

    with pytest.raises(InvalidRequest, match="can't redraw a picture") as refused:
        Form(OddPipeline()).redrawing()
    assert refused.value.param == "model"
