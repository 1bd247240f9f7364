"""Which sizes an image model can give, and at which it draws them."""

from collections.abc import Mapping
from typing import Any

import pytest

from server.errors import InvalidRequest, ModelUnavailable
from server.media.image_sizes import ImageSizes, Size, parse


def sizes(**changes: Any) -> ImageSizes:
    facts: dict[str, Any] = {"own": (64, 64), "declared": (), "resampled": False, "factor": 8, "flexible": True}
    return ImageSizes(**facts | changes)


@pytest.mark.parametrize(
    ("asked", "given"),
    [((None, None), (64, 64)), ((64, 64), (64, 64)), ((128, 64), (128, 64)), ((128, None), (128, 64))],
)
def test_a_pipeline_draws_what_its_factor_divides(asked: tuple[int | None, int | None], given: Size) -> None:
    assert sizes().choose(*asked) == (given, given)


@pytest.mark.parametrize("asked", [(60, 64), (64, 63), (256, 128), (99_999, 99_999)])
def test_a_size_that_cannot_be_drawn_is_refused_with_the_rule(asked: Size) -> None:
    with pytest.raises(InvalidRequest, match="64x64, or any multiples of 8 up to 16384 pixels") as refused:
        sizes().choose(*asked)
    assert refused.value.param == "size"


def test_declared_sizes_are_the_only_ones_and_are_listed() -> None:
    some = sizes(declared=((64, 64), (128, 64)))
    assert some.choose(128, 64) == ((128, 64), (128, 64))
    with pytest.raises(InvalidRequest, match=r"can't give 64x128. Sizes it can give: 64x64, 128x64\."):
        some.choose(64, 128)


def test_resampled_sizes_are_drawn_at_the_own_size() -> None:
    assert sizes(declared=((1000, 1000),), resampled=True).choose(1000, 1000) == ((1000, 1000), (64, 64))
    with pytest.raises(InvalidRequest, match=r"Sizes it can give: 64x64\."):
        sizes(resampled=True).choose(128, 128)


@pytest.mark.parametrize(
    "changes", [{"declared": ((100, 100),)}, {"own": (63, 63)}, {"flexible": False, "declared": ((128, 128),)}]
)
def test_a_config_with_undrawable_sizes_does_not_load(changes: Mapping[str, Any]) -> None:
    with pytest.raises(ModelUnavailable, match="can't draw"):
        sizes(**changes)


@pytest.mark.parametrize("text", ["auto", "64", "64x", "x64", "64X64", "64x64x64", "0x64", "-1x2", "1e3x5", "٦x٦", ""])
def test_what_is_no_size(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("drawn", "times", "given"),
    [
        ((64, 64), 1.0, (64, 64)),
        ((64, 64), 1.5, (96, 96)),
        ((64, 32), 1.3, (80, 40)),  # 83 by 41, as far as the factor allows
        ((64, 64), 4.0, (128, 128)),  # no more than four times the own size's pixels
        ((128, 128), 1.5, (128, 128)),
        ((60, 60), 1.05, (60, 60)),  # never smaller
    ],
)
def test_a_redrawing_is_enlarged_as_far_as_it_may(drawn: Size, times: float, given: Size) -> None:
    assert sizes().enlarged(drawn, times) == given


def test_a_pipeline_that_takes_no_size_enlarges_nothing() -> None:
    assert sizes(flexible=False).enlarged((64, 64), 2.0) == (64, 64)


DECLARED = ((512, 512), (1024, 1024), (1536, 1024))


@pytest.mark.parametrize(
    ("start", "given"),
    [
        ((3000, 2000), (1536, 1024)),
        ((640, 480), (512, 512)),
        ((2000, 2100), (1024, 1024)),
        ((1, 1), (512, 512)),
        ((10_000, 1), (512, 512)),
    ],
)
def test_a_picture_is_redrawn_at_the_declared_size_nearest_to_its_own(start: Size, given: Size) -> None:
    assert sizes(own=(1024, 1024), declared=DECLARED).near(start) == (given, given)


@pytest.mark.parametrize(
    ("start", "given"),
    [
        ((64, 64), (64, 64)),
        ((6400, 6400), (64, 64)),
        ((4, 4), (64, 64)),
        ((300, 200), (80, 48)),
        ((200, 300), (48, 80)),
        ((10_000, 1), (128, 32)),  # no narrower than 4 to 1
        ((1, 10_000), (32, 128)),
    ],
)
def test_without_declared_sizes_it_keeps_its_shape_at_the_pixels_of_the_own_size(start: Size, given: Size) -> None:
    assert sizes().near(start) == (given, given)


def test_a_picture_is_redrawn_within_what_the_pipeline_can() -> None:
    assert sizes(longest=96).near((10_000, 1)) == ((96, 24), (96, 24))
    assert sizes(flexible=False).near((300, 200)) == ((64, 64), (64, 64))
    assert sizes(resampled=True).near((300, 200)) == ((64, 64), (64, 64))
    assert sizes(resampled=True, declared=((128, 128),)).near((300, 200)) == ((128, 128), (64, 64))
