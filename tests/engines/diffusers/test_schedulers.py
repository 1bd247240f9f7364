"""Schedulers in the place of a pipeline's own: which may, that they draw otherwise, and that they are heard."""

import importlib
import inspect
from typing import Any, get_args

import numpy as np
import pytest

from server.errors import InvalidRequest
from server.models.config.quality import Scheduler
from tests.reading import handled
from tests.tiny_drawing import job, load, pictures, pixels

NAMES: tuple[str, ...] = get_args(Scheduler)


@pytest.fixture(scope="module")
def tiny() -> Any:
    return importlib.import_module("tests.tiny_pipeline")


@pytest.fixture(scope="module")
def handler(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(tiny.build(tmp_path_factory.mktemp("schedulers") / "pipeline"))  # whose own is DDIM


@pytest.mark.parametrize("name", NAMES)
def test_every_scheduler_of_the_config_draws_and_shows_previews(handler: Any, name: str) -> None:
    drawn = pictures(handler, seed=1, steps=8, partial_images=2, scheduler=name)
    assert [one.partial for one in drawn] == [0, 1, None]
    final = pixels(drawn[-1])
    distances = [float(np.abs(pixels(one) - final).mean()) for one in drawn[:2]]
    assert distances[1] < distances[0] < 40


def test_another_scheduler_draws_another_picture_and_is_gone_with_its_job(handler: Any) -> None:
    before = pictures(handler, seed=1)[0].data
    drawn = {name: pictures(handler, seed=1, scheduler=name)[0].data for name in NAMES}
    assert drawn["DDIMScheduler"] == before
    assert len(set(drawn.values())) == len(NAMES)
    assert pictures(handler, seed=1)[0].data == before
    assert pictures(handler, seed=1, scheduler="EulerDiscreteScheduler")[0].data == drawn["EulerDiscreteScheduler"]


def test_one_that_is_no_other_of_its_kind_is_refused_before_the_work(handler: Any) -> None:
    for name in ("FlowMatchEulerDiscreteScheduler", "DiffusionPipeline", "NoScheduler"):
        with pytest.raises(InvalidRequest, match=f"{name}, can't draw for this model: its own is a DDIM") as refused:
            next(handled(handler, job(scheduler=name)))
        assert refused.value.param == "quality"


@pytest.mark.parametrize("name", NAMES)
def test_rectified_flow_keeps_its_own(tiny: Any, name: str) -> None:
    from server.engines.diffusers.schedulers import Schedulers

    schedulers = Schedulers(tiny.flow_scheduler())
    with pytest.raises(InvalidRequest, match="its own is a FlowMatchEulerDiscreteScheduler"):
        schedulers.seat(name)
    assert schedulers.seat(None) is schedulers.seat("FlowMatchEulerDiscreteScheduler")


def test_a_multistep_scheduler_with_flow_sigmas_counts_as_flow() -> None:
    diffusers = importlib.import_module("diffusers")
    from server.engines.diffusers.schedulers import Schedulers

    own = diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    with pytest.raises(InvalidRequest):
        Schedulers(own).seat("EulerDiscreteScheduler")


def test_a_scheduler_that_takes_fewer_steps_says_so(handler: Any) -> None:
    with pytest.raises(InvalidRequest, match="at most 50 steps") as refused:
        next(handled(handler, job(scheduler="LCMScheduler", steps=51)))
    assert refused.value.param == "steps"


def test_predictions_of_latents_are_not_clipped_by_a_default() -> None:
    diffusers = importlib.import_module("diffusers")
    from server.engines.diffusers.schedulers import Schedulers

    assert inspect.signature(diffusers.DDIMScheduler.__init__).parameters["clip_sample"].default is True
    own = diffusers.DPMSolverMultistepScheduler(prediction_type="v_prediction")
    made = Schedulers(own).seat("DDIMScheduler").scheduler
    assert (made.config.clip_sample, made.config.prediction_type) == (False, "v_prediction")
