"""Pictures from arrays of numbers, at another size and in each format."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from server.media.image_encode import encoded, from_pixels, is_picture, resized


@pytest.fixture
def gradient() -> NDArray[np.float32]:
    """32 by 16 pixels, red grows to the right, green downwards, half transparent."""
    pixels = np.full((16, 32, 4), 0.5, np.float32)
    pixels[..., 0] = np.linspace(0, 1, 32)
    pixels[..., 1] = np.linspace(0, 1, 16)[:, None]
    return pixels


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_transparency_is_kept_where_the_format_has_it(gradient: NDArray[np.float32], kind: Any) -> None:
    image = Image.open(BytesIO(encoded(from_pixels(gradient), kind, 100)))
    assert (image.format, image.mode, image.size) == (kind.upper(), "RGBA", (32, 16))
    assert image.getpixel((0, 0))[3] == 128  # type: ignore[index]


def test_jpeg_puts_transparency_on_white(gradient: NDArray[np.float32]) -> None:
    image = Image.open(BytesIO(encoded(from_pixels(gradient), "jpeg", 100)))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    pixel = image.getpixel((0, 0))
    assert pixel == pytest.approx((127, 127, 191), abs=6)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_lower_quality_makes_smaller_files(kind: Any) -> None:
    noise = from_pixels(np.random.default_rng(0).random((64, 64, 3)))
    lengths = [len(encoded(noise, kind, quality)) for quality in (0, 50, 100)]
    assert lengths == sorted(set(lengths))


def test_grey_pictures_are_grey() -> None:
    assert from_pixels(np.zeros((4, 4, 1))).mode == "L"


def test_another_shape_is_cut_not_stretched() -> None:
    image = Image.new("RGB", (64, 64), "red")
    image.paste("blue", (0, 16, 64, 48))
    wide = resized(image, (128, 64), "nearest")
    assert wide.size == (128, 64)
    assert wide.getcolors() == [(128 * 64, (0, 0, 255))]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_make_no_picture(value: float) -> None:
    pixels = np.zeros((2, 2, 3))
    assert is_picture(pixels)
    pixels[1, 1, 1] = value
    assert not is_picture(pixels)
