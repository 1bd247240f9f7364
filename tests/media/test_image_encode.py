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


@pytest.mark.parametrize(("size", "thing"), [((128, 64), (40, 8, 88, 56)), ((64, 128), (8, 40, 56, 88))])
@pytest.mark.parametrize(("mode", "ground"), [("RGB", (250, 252, 255)), ("RGBA", (9, 9, 9, 0)), ("L", 77)])
def test_a_thing_on_plain_ground_gets_more_ground(size: Any, thing: Any, mode: str, ground: Any) -> None:
    image = Image.new(mode, (64, 64), ground)
    image.paste("red" if mode != "L" else 200, (8, 8, 56, 56))
    image.paste("red" if mode != "L" else 200, (0, 30, 64, 34))  # it touches the edge a little
    image.paste("red" if mode != "L" else 200, (30, 0, 34, 64))
    drawn = resized(image, size, "nearest")
    assert (drawn.size, drawn.mode) == (size, mode)
    assert drawn.getpixel((0, 0)) == drawn.getpixel((size[0] - 1, size[1] - 1)) == ground
    assert drawn.crop(thing).tobytes() == image.crop((8, 8, 56, 56)).tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_make_no_picture(value: float) -> None:
    pixels = np.zeros((2, 2, 3))
    assert is_picture(pixels)
    pixels[1, 1, 1] = value
    assert not is_picture(pixels)
