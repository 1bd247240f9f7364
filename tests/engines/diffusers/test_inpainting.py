"""Pictures redrawn in part: what the mask keeps is the input's own, pixel for pixel, whatever the class of pipeline."""

import importlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from server.errors import InvalidRequest
from server.media.image_encode import resized
from tests.reading import handled
from tests.tiny_drawing import job, load, pictures, pixels


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    families = importlib.import_module("tests.tiny_families")
    root = tmp_path_factory.mktemp("inpainting")
    built: dict[str, Path] = families.build_all(root, "sd", "sdxl", "sd3", "flux-schnell", "flux-dev", "pixart")
    return built


@pytest.fixture(scope="module")
def handler(folders: dict[str, Path]) -> Any:
    return load(folders["sd"])


def png(values: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def speckled(width: int, height: int) -> NDArray[np.uint8]:
    """A picture in which no pixel is like its neighbours."""
    return np.random.default_rng(5).integers(0, 256, (height, width, 3)).astype(np.uint8)


def hole(width: int, height: int) -> NDArray[np.uint8]:
    """A mask whose right half is redrawn."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = 255
    return mask


def part(width: int = 32, height: int = 32, **fields: Any) -> dict[str, Any]:
    start, mask = png(speckled(width, height)), png(hole(width, height))
    return {"starts": (start,), "mask": mask, "strength": 1.0, "seed": 1, **fields}


@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3", "flux-schnell", "flux-dev"])
def test_what_is_masked_off_stays_and_the_rest_is_drawn(folders: dict[str, Path], kind: str) -> None:
    first, second = pictures(load(folders[kind]), n=2, **part())
    before = speckled(32, 32)
    for drawn in (first, second):
        assert np.array_equal(pixels(drawn)[:, :16], before[:, :16])
        assert np.abs(pixels(drawn)[:, 16:] - before[:, 16:]).mean() > 20
    assert not np.array_equal(pixels(first)[:, 16:], pixels(second)[:, 16:])  # each from noise of its own


@pytest.mark.parametrize(
    "scheduler",
    [
        "DDIMScheduler",
        "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "HeunDiscreteScheduler",
        "LCMScheduler",
        "UniPCMultistepScheduler",
    ],
)
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_latents_that_stay_end_as_the_pictures_own(handler: Any, scheduler: str, strength: float) -> None:
    """Looked at before the file is put together: the kept latents are those of the picture, to the last bit."""
    seen = []
    form = handler.form_for(job(starts=(png(speckled(32, 32)),)))
    decode, encode = form.pipeline.vae.decode, form.pipeline.vae.encode

    def spied_decode(latents: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(latents.detach().clone())
        return decode(latents, *args, **kwargs)

    def spied_encode(image: Any) -> Any:
        seen.append(encode(image).latent_dist)
        return encode(image)

    form.pipeline.vae.decode, form.pipeline.vae.encode = spied_decode, spied_encode
    try:
        pictures(handler, scheduler=scheduler, **part(strength=strength))
    finally:
        form.pipeline.vae.decode, form.pipeline.vae.encode = decode, encode
    encoded, decoded = seen
    spread = ((decoded - encoded.mean) / encoded.std).abs()
    assert spread[..., :8].max() < 6  # a sample of what the autoencoder says of the picture
    assert spread[..., 8:].max() > spread[..., :8].max()


def test_the_next_job_keeps_nothing(handler: Any) -> None:
    before = pictures(handler, seed=1)[0].data
    whole = {name: value for name, value in part().items() if name != "mask"}
    redrawn = pictures(handler, **whole)[0].data
    pictures(handler, **part())
    assert pictures(handler, seed=1)[0].data == before
    assert pictures(handler, **whole)[0].data == redrawn


def test_without_a_size_the_picture_keeps_its_own_however_odd(handler: Any) -> None:
    drawn = pictures(handler, **part(width=75, height=41))[0]
    assert (drawn.width, drawn.height) == (75, 41)
    assert np.array_equal(pixels(drawn)[:, :37], speckled(75, 41)[:, :37])


def test_the_size_that_is_asked_for_is_given(handler: Any) -> None:
    drawn = pictures(handler, width=48, height=48, **part())[0]
    assert (drawn.width, drawn.height) == (48, 48)
    whole = Image.fromarray(speckled(32, 32)).resize((48, 48), Image.Resampling.LANCZOS)
    assert np.array_equal(pixels(drawn)[:, :24], np.asarray(whole)[:, :24])


def test_half_a_mask_blends(handler: Any) -> None:
    fields = part()
    all_of_it = pixels(pictures(handler, **(fields | {"mask": png(np.full((32, 32), 255, np.uint8))}))[0])
    half = pixels(pictures(handler, **(fields | {"mask": png(np.full((32, 32), 128, np.uint8))}))[0])
    blended = all_of_it * (128 / 255) + speckled(32, 32) * (127 / 255)
    assert np.abs(half - blended).max() <= 1


def test_previews_show_the_rest_too(handler: Any) -> None:
    drawn = pictures(handler, partial_images=2, steps=6, **part())
    assert [one.partial for one in drawn] == [0, 1, None]
    for one in drawn:
        assert np.array_equal(pixels(one)[:, :16], speckled(32, 32)[:, :16])


@pytest.mark.parametrize("strength", [0.34, 0.5, 1.0])
@pytest.mark.parametrize("wanted", [1, 3])
def test_previews_of_a_redrawing_come_within_its_share_of_the_steps(handler: Any, strength: float, wanted: int) -> None:
    whole = {name: value for name, value in part(strength=strength).items() if name != "mask"}
    drawn = pictures(handler, partial_images=wanted, steps=20, **whole)
    assert [one.partial for one in drawn] == [*range(wanted), None]
    assert len({one.data for one in drawn}) == wanted + 1


def test_a_pipeline_without_such_a_form_refuses_before_the_work(folders: dict[str, Path]) -> None:
    with pytest.raises(InvalidRequest, match="can't redraw a picture") as refused:
        next(handled(load(folders["pixart"]), job(**part())))
    assert refused.value.param == "model"


def test_a_pipeline_that_draws_transparency_refuses_to_redraw(tmp_path: Path) -> None:
    built = importlib.import_module("tests.tiny_pipeline").build(tmp_path / "transparent", channels=4)
    with pytest.raises(InvalidRequest, match="can't redraw a picture") as refused:
        next(handled(load(built), job(**part())))
    assert refused.value.param == "model"


def test_an_opaque_picture_of_a_model_that_draws_transparency(tmp_path: Path) -> None:
    built = importlib.import_module("tests.tiny_pipeline").build(tmp_path / "transparent", channels=4)
    handler = load(built)
    plain, opaque = (pixels(pictures(handler, seed=1, opaque=opaque)[0]) for opaque in (False, True))
    assert (plain.shape[2], opaque.shape[2]) == (4, 3)


def test_a_strength_that_leaves_no_step_is_refused(handler: Any) -> None:
    with pytest.raises(InvalidRequest, match="would leave none") as refused:
        next(handled(handler, job(**part(strength=0.0001))))
    assert refused.value.param == "strength"
    assert len(pictures(handler, **part(strength=0.01))) == 1


def test_a_picture_of_any_size_is_redrawn_at_one_that_the_model_can_draw(
    handler: Any, folders: dict[str, Path]
) -> None:
    whole = {name: value for name, value in part(width=90, height=60).items() if name != "mask"}
    drawn = pictures(handler, **whole)[0]
    assert (drawn.width, drawn.height) == (40, 24)  # of that shape, with about as many pixels as 32x32
    declared = load(folders["sd"], sizes=("32x32", "48x32"))
    drawn = pictures(declared, **whole)[0]
    assert (drawn.width, drawn.height) == (48, 32)


@pytest.mark.parametrize("plain", [False, True])
def test_in_another_shape_the_mask_stays_on_its_place(handler: Any, plain: bool) -> None:
    """A thing on plain ground gets more of it, any other picture is cut; its mask with it."""
    values = np.full((32, 32, 3), 250, np.uint8) if plain else speckled(32, 32)
    values[8:24, 4:28] = speckled(24, 16)
    whole = resized(Image.fromarray(values), (64, 32), "lanczos")
    fields = {"starts": (png(values),), "mask": png(hole(32, 32)), "strength": 1.0, "seed": 1}
    drawn = pixels(pictures(handler, width=64, height=32, **fields)[0])
    redrawn = np.abs(drawn - np.asarray(whole, np.int16)).max(axis=(0, 2)) > 0
    assert not redrawn[:32].any()
    assert redrawn[32:48].all()
    assert redrawn[48:].all() == (not plain)
    assert redrawn[48:].any() == (not plain)
