"""How alike pictures look."""

from io import BytesIO

import pytest
from PIL import Image, ImageDraw

from server.pipeline.strategies.image.likeness import looks, medoid


def square(colour: str = "black", left: int = 16, size: tuple[int, int] = (64, 64), ground: str = "white") -> bytes:
    """A square of half the picture's width on a plain ground."""
    image = Image.new("RGB", size, ground)
    ImageDraw.Draw(image).rectangle([left, size[1] // 4, left + size[0] // 2 - 1, size[1] * 3 // 4 - 1], colour)
    return png(image)


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def apart(one: bytes, other: bytes) -> float:
    return float(((looks(one) - looks(other)) ** 2).sum())


def test_the_distance_is_a_mean_squared_difference() -> None:
    black, white, red = (png(Image.new("RGB", (64, 48), colour)) for colour in ("black", "white", "red"))
    assert apart(black, black) == 0
    assert apart(black, white) == pytest.approx(1.0)
    assert apart(black, red) == pytest.approx(1 / 3)


def test_what_is_shifted_a_little_is_nearer_than_what_is_another_colour() -> None:
    assert 0 < apart(square(), square(left=18)) < apart(square(), square("blue")) < apart(square(), square(left=28))


def test_sizes_and_channels_do_not_matter() -> None:
    assert apart(square(), square(left=32, size=(128, 128))) == pytest.approx(0, abs=1e-6)
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    ImageDraw.Draw(clear).rectangle([16, 16, 47, 47], "black")
    assert apart(square(), png(clear)) == pytest.approx(0, abs=1e-6)
    grey = Image.open(BytesIO(square())).convert("L")
    assert apart(square(), png(grey)) == pytest.approx(0, abs=1e-6)


def test_the_medoid_is_the_picture_nearest_to_the_others() -> None:
    pictures = [square(left=8), square("red"), square(left=16), square(left=24)]
    assert medoid(pictures) == 2
    assert medoid([*pictures[1:], pictures[0]]) == 1
    assert medoid(pictures[:1]) == 0
    assert medoid(pictures[1:3]) == 0  # equals: the first


def test_a_picture_that_is_far_off_does_not_draw_the_choice_towards_itself() -> None:
    greys = (0, 0, 1, 40, 255)
    pictures = [png(Image.new("L", (32, 32), grey)) for grey in greys]
    assert abs(40 - sum(greys) / len(greys)) == min(abs(grey - sum(greys) / len(greys)) for grey in greys)
    assert medoid(pictures) == 2
