"""Pipelines of several classes through the handler: what each draws, and what it refuses before it has begun."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from server.core import Picture
from server.errors import InvalidRequest, ModelUnavailable
from tests.reading import handled
from tests.tiny_drawing import drawn_sizes, job, load, pictures, pixels


@dataclass(frozen=True)
class Kind:
    """own: the size it is loaded with, a side; step: what sides must be multiples of; longest: of a side."""

    own: int
    step: int
    longest: int | None = None


KINDS: Mapping[str, Kind] = {
    "sd": Kind(32, 8),  # latents of 2 pixels; check_inputs wants 8 whatever the autoencoder
    "sdxl": Kind(32, 8),  # latents of 4
    "sd3": Kind(32, 4, longest=48),  # latents of 2 in patches of 2, positions for 12 patches
    "flux-schnell": Kind(32, 4),  # latents of 2, packed by 2; the pipeline rounds other sizes and only warns
    "flux-dev": Kind(32, 4),
    "pixart": Kind(256, 16),  # latents of 8 in patches of 2; check_inputs wants no more than 8
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    families = importlib.import_module("tests.tiny_families")
    built: Mapping[str, Path] = families.build_all(tmp_path_factory.mktemp("kinds"), *KINDS)
    return built


@pytest.fixture(scope="module")
def handlers(folders: Mapping[str, Path]) -> Mapping[str, Any]:
    return {kind: load(folders[kind], size=(facts.own, facts.own)) for kind, facts in KINDS.items()}


def refused(handler: Any, **fields: Any) -> InvalidRequest:
    """The error that comes before `Facts`."""
    with pytest.raises(InvalidRequest) as caught:
        next(handled(handler, job(**fields)))
    return caught.value


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_step_divides_is_drawn(handlers: Mapping[str, Any], kind: str) -> None:
    own, step = KINDS[kind].own, KINDS[kind].step
    for width, height in ((own + step, own), (step, step), (step, 3 * step), (own, 5 * step)):
        drawn = pictures(handlers[kind], width=width, height=height, steps=1)[0]
        assert pixels(drawn).shape == (height, width, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_does_not_divide_is_refused_with_the_step(handlers: Mapping[str, Any], kind: str) -> None:
    own, step = KINDS[kind].own, KINDS[kind].step
    for width, height in ((own + step // 2, own), (own, own + 1), (own - step // 2, own - step // 2)):
        error = refused(handlers[kind], width=width, height=height)
        assert error.param == "size"
        assert f"any multiples of {step} up to" in error.message


@pytest.mark.parametrize("kind", [kind for kind, facts in KINDS.items() if facts.longest is not None])
def test_a_side_beyond_the_learned_positions_is_refused(handlers: Mapping[str, Any], kind: str) -> None:
    longest, step = KINDS[kind].longest, KINDS[kind].step
    assert longest is not None
    assert len(pictures(handlers[kind], width=longest, height=step, steps=1)) == 1
    error = refused(handlers[kind], width=longest + step, height=step)
    assert error.param == "size"
    assert error.message.endswith(f"and {longest} a side.")


def test_a_redrawing_is_not_enlarged_beyond_the_learned_positions(handlers: Mapping[str, Any]) -> None:
    buffer = BytesIO()
    Image.new("RGB", (40, 40), "red").save(buffer, "PNG")
    fields = {"width": 40, "height": 40, "starts": (buffer.getvalue(),), "strength": 0.5, "enlarge": 2.0}
    assert drawn_sizes(handlers["sd3"], **fields) == [(48, 48)]


@pytest.mark.parametrize("size", ["36x36", "1000x1004"])
def test_a_config_that_names_a_size_off_the_step_does_not_load(folders: Mapping[str, Path], size: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"size {size}, which this pipeline can't draw: it draws multiples of 8"):
        load(folders["sdxl"], sizes=("40x40", size))


# ---------------------------------------------------------------- everything else a request says


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fields",
    [{"steps": 1}, {"steps": 2, "n": 3}, {"steps": 3, "partial_images": 2}, {"steps": 1, "prompt": "a b, " * 400}],
)
def test_every_kind_draws_by_few_steps_several_and_long_prompts(
    handlers: Mapping[str, Any], kind: str, fields: dict[str, Any]
) -> None:
    asked = job(**{"seed": 1, "steps": 1, **fields})
    drawn = [event for event in handled(handlers[kind], asked) if isinstance(event, Picture)]
    assert len(drawn) == asked.n + asked.partial_images
    assert all(pixels(one).std() > 1 for one in drawn)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pixart"])
@pytest.mark.parametrize("strength", [0.05, 0.5, 1.0])
def test_every_kind_draws_over(handlers: Mapping[str, Any], kind: str, strength: float) -> None:
    own, step = KINDS[kind].own, KINDS[kind].step
    buffer = BytesIO()
    Image.new("RGB", (own, own), "red").save(buffer, "PNG")
    fields = {"starts": (buffer.getvalue(),) * 2, "n": 2, "steps": 1, "strength": strength, "enlarge": 1.3}
    drawn = pictures(handlers[kind], width=own + step, height=own, **fields)
    assert [(one.width, one.height) for one in drawn] == [(own + step, own)] * 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("guidance", [0.0, 1.0, 30.0])
def test_guidance_is_honoured_or_refused(handlers: Mapping[str, Any], kind: str, guidance: float) -> None:
    if kind == "flux-schnell":
        assert refused(handlers[kind], guidance=guidance).param == "guidance"
        return
    plain = pictures(handlers[kind], seed=1, steps=2, guidance=7.5)[0]
    assert pictures(handlers[kind], seed=1, steps=2, guidance=guidance)[0].data != plain.data


@pytest.mark.parametrize("kind", KINDS)
def test_a_negative_prompt_is_honoured_or_refused(handlers: Mapping[str, Any], kind: str) -> None:
    """FLUX takes one and ignores it, whatever the guidance."""
    if kind.startswith("flux"):
        error = refused(handlers[kind], negative_prompt="blue")
        assert (error.param, error.message) == ("negative_prompt", "This model takes no negative prompt.")
        return
    plain = pictures(handlers[kind], seed=1, steps=2)[0]
    assert pictures(handlers[kind], seed=1, steps=2, negative_prompt="blue")[0].data != plain.data
    error = refused(handlers[kind], negative_prompt="blue", guidance=1.0)
    assert error.param == "negative_prompt"
    assert error.message == "This model takes no notice of a negative prompt at a guidance of 1."


def test_the_guidance_of_the_config_counts_for_negative_prompts(folders: Mapping[str, Path]) -> None:
    unguided = load(folders["sd"], guidance=1.0)
    assert refused(unguided, negative_prompt="blue").param == "negative_prompt"
    assert len(pictures(unguided, negative_prompt="blue", guidance=2.0, steps=1)) == 1


def test_sdxl_previews_are_decoded_in_float32_where_float16_would_overflow(folders: Mapping[str, Path]) -> None:
    torch = importlib.import_module("torch")
    drawing = load(folders["sdxl"], dtype="float16")
    autoencoder = drawing.form_for(job()).pipeline.vae
    decode, numbers = autoencoder.decode, []

    def spy(latents: Any, **options: Any) -> Any:
        numbers.append((latents.dtype, autoencoder.dtype))
        return decode(latents, **options)

    autoencoder.decode = spy
    assert len(pictures(drawing, seed=1, partial_images=2, steps=3)) == 3
    assert numbers == [(torch.float32, torch.float32)] * 3
    assert autoencoder.dtype is torch.float16


# ---------------------------------------------------------------- afterwards


def test_a_scheduler_without_its_library_is_told(handlers: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def dummy(*_: Any, **__: Any) -> Any:
        raise ImportError("LMSDiscreteScheduler requires the scipy library")

    diffusers = importlib.import_module("diffusers")
    monkeypatch.setattr(diffusers, "LMSDiscreteScheduler", SimpleNamespace(from_config=dummy, __init__=dummy))
    error = refused(handlers["sd"], scheduler="LMSDiscreteScheduler")
    assert error.param == "quality"
    assert error.message.endswith("LMSDiscreteScheduler, needs a package that is not installed here.")


def test_a_refused_job_leaves_the_handler_as_it_was(handlers: Mapping[str, Any]) -> None:
    for handler in handlers.values():
        refused(handler, width=1, height=1)
        assert len(pictures(handler, steps=1)) == 1
