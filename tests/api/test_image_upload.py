"""Uploaded pictures: whatever a file holds, it becomes plain RGB or a 400 that names its field."""

import base64
import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from server.api.body import Form, Upload
from server.api.openai.image_input import resolve_images
from server.api.openai.image_upload import Original, read_mask, read_original
from server.errors import InvalidRequest
from server.settings import Settings

pytestmark = pytest.mark.anyio

LIMITS = Settings(max_image_input=100_000, max_image_pixels=10_000)


def saved(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def corners(mode: str = "RGB") -> Image.Image:
    """12 wide and 8 high: red above on the left, blue elsewhere."""
    image = Image.new("RGB", (12, 8), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 6, 4))
    return image.convert(mode)


def form(image: bytes, mask: bytes | None = None) -> Form:
    # The names and the content types lie, all of them.
    files = {"image": [Upload("picture.txt", "text/plain", image)]}
    if mask is not None:
        files["mask"] = [Upload("mask.exe", "application/zip", mask)]
    return Form({}, files)


async def original(image: bytes, settings: Settings = LIMITS) -> Original:
    return await read_original(form(image), settings)


async def seen(image: bytes) -> NDArray[np.int16]:
    """What the engine would be given, as pixels."""
    read = await original(image)
    opened = Image.open(io.BytesIO(read.data))
    assert (opened.format, opened.mode, opened.size) == ("PNG", "RGB", read.size)
    return np.asarray(opened, np.int16)


async def refusal(image: bytes, settings: Settings = LIMITS) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await original(image, settings)
    assert caught.value.param == "image"
    return caught.value


# ---------------------------------------------------------------- what is a picture


@pytest.mark.parametrize(
    ("mode", "kind", "how"),
    [
        ("RGB", "PNG", {}),
        ("RGB", "JPEG", {"quality": 100, "subsampling": 0}),
        ("RGB", "WEBP", {"lossless": True}),
        ("P", "PNG", {}),
        ("P", "GIF", {}),
        ("CMYK", "JPEG", {"quality": 100}),
        ("RGBA", "PNG", {}),
        ("RGBA", "WEBP", {"lossless": True}),
    ],
)
async def test_each_kind_of_file_shows_the_same_picture(mode: str, kind: str, how: dict[str, Any]) -> None:
    pixels = await seen(saved(corners(mode), kind, **how))
    assert pixels.shape == (8, 12, 3)
    assert np.abs(pixels[1, 2] - (255, 0, 0)).max() <= 8
    assert np.abs(pixels[6, 10] - (0, 0, 255)).max() <= 8


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16"])
async def test_grey_pictures_of_any_depth_keep_their_brightness(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.repeat(np.array([[0, 32768, 65535]], np.uint16), 4, axis=0))
        expected = [0, 128, 255]
    else:
        image = Image.fromarray(np.repeat(np.array([[0, 255, 255]], np.uint8), 4, axis=0)).convert(mode)
        expected = [0, 255, 255]
    pixels = await seen(saved(image))
    assert pixels[0].tolist() == [[level] * 3 for level in expected]


async def test_transparency_is_shown_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((0, 0), (10, 20, 30, 255))
    assert (await seen(saved(image))).tolist() == [[[10, 20, 30], [255, 255, 255]]]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert (await seen(saved(palette, transparency=1))).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("orientation", range(1, 9))
async def test_a_camera_held_sideways_is_turned_upright(orientation: int) -> None:
    turned = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = corners() if orientation == 1 else corners().transpose(turned[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = await seen(saved(stored, exif=exif))
    assert np.array_equal(pixels, np.asarray(corners()))


def two_in_one() -> bytes:
    """A JPEG as some cameras write it, with a second picture behind the first."""
    return saved(corners(), "MPO", save_all=True, append_images=[corners()], quality=100)


async def test_a_cameras_file_with_a_second_picture_is_its_first() -> None:
    assert (await seen(two_in_one())).shape == (8, 12, 3)


async def test_such_a_file_is_a_jpeg_in_a_chat_too() -> None:
    uri = f"data:image/jpeg;base64,{base64.b64encode(two_in_one()).decode()}"
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": uri}}]}
    (resolved,) = await resolve_images([message], LIMITS)
    assert resolved["content"][0]["image_url"]["url"].startswith("data:image/jpeg;base64,")


# ---------------------------------------------------------------- what is none


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
async def test_an_animation_is_no_picture(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    assert "animation" in (await refusal(data)).message


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A small PNG whose header tells of that size, and whose data of a few pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(101, 100), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
async def test_too_many_pixels_are_refused_before_they_are_unpacked(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("unpacked")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", never)
    assert "10000 pixels" in (await refusal(bomb(*size))).message


async def test_too_many_bytes_are_refused() -> None:
    data = saved(corners())
    assert "bytes" in (await refusal(data, LIMITS.model_copy(update={"max_image_input": len(data) - 1}))).message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        saved(corners())[:60],
        saved(corners(), "JPEG")[:-80],
        saved(corners(), "BMP"),
        saved(corners(), "TIFF"),
        saved(corners(), "PPM"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        bomb(12, 8),
    ],
    ids=["empty", "text", "svg", "pdf", "half a png", "half a jpeg", "bmp", "tiff", "ppm", "eps", "too few pixels"],
)
async def test_what_is_broken_or_no_picture_is_refused(data: bytes) -> None:
    assert "/" not in (await refusal(data)).message


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
async def test_a_thousand_broken_files_are_pictures_or_refused() -> None:
    """Random bytes of sound files changed: seed 12. Whatever is raised else would be a 500."""
    exif = Image.Exif()
    exif[0x0112] = 6
    sound = [
        saved(corners(), "PNG", exif=exif),
        saved(corners("P"), "PNG", transparency=0),
        saved(corners(), "JPEG", exif=exif),
        saved(corners("CMYK"), "JPEG"),
        saved(corners("RGBA"), "WEBP", exif=exif),
        saved(corners("P"), "GIF"),
        two_in_one(),
    ]
    rng = random.Random(12)
    read = refused = 0
    for number in range(1000):
        data = bytearray(sound[number % len(sound)])
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        try:
            await original(bytes(data))
            read += 1
        except InvalidRequest as error:
            assert error.param == "image"  # noqa: PT017 - both ends are right
            refused += 1
    assert min(read, refused) > 100


# ---------------------------------------------------------------- how many


async def test_pictures_are_counted_and_every_one_is_looked_at() -> None:
    upload = Upload("a.png", "image/png", saved(corners()))
    with pytest.raises(InvalidRequest, match="one image at a time, and 2") as caught:
        await read_original(Form({}, {"image": [upload] * 2}), LIMITS)
    assert caught.value.param == "image"
    with pytest.raises(InvalidRequest, match="At most 16"):
        await read_original(Form({}, {"image": [upload] * 17}), LIMITS)
    with pytest.raises(InvalidRequest, match="broken"):
        await read_original(Form({}, {"image": [upload, Upload("b.png", "image/png", b"no")]}), LIMITS)


# ---------------------------------------------------------------- masks


SOURCE = Original(b"", (12, 8))


async def holes(data: bytes | None, source: Original = SOURCE) -> NDArray[np.uint8] | None:
    mask = await read_mask(form(b"", data), source, LIMITS)
    return None if mask is None else np.asarray(Image.open(io.BytesIO(mask)))


async def mask_refusal(data: bytes) -> str:
    with pytest.raises(InvalidRequest) as caught:
        await holes(data)
    assert caught.value.param == "mask"
    return caught.value.message


async def test_a_mask_says_by_its_transparency_what_is_redrawn() -> None:
    mask = Image.new("RGBA", (12, 8), "black")
    mask.paste((255, 255, 255, 0), (0, 0, 6, 8))
    mask.paste((9, 9, 9, 55), (6, 0, 8, 8))
    read = await holes(saved(mask))
    assert read is not None
    assert read.dtype == np.uint8
    assert read[3].tolist() == [255] * 6 + [200] * 2 + [0] * 4
    palette = Image.new("P", (12, 8), 0)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.paste(1, (0, 0, 6, 8))
    read = await holes(saved(palette, transparency=1))
    assert read is not None
    assert read[0].tolist() == [255] * 6 + [0] * 6


async def test_a_mask_is_turned_as_its_picture_is() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = Image.new("RGBA", (8, 12), (0, 0, 0, 0))
    read = await holes(saved(mask, exif=exif))
    assert read is not None
    assert read.shape == (8, 12)


async def test_without_a_mask_there_is_none() -> None:
    assert await holes(None) is None
    browsers = Form({}, {"mask": [Upload("", "application/octet-stream", b"")]})
    assert await read_mask(browsers, SOURCE, LIMITS) is None


async def test_masks_that_say_nothing_are_refused() -> None:
    assert "no transparency" in await mask_refusal(saved(Image.new("L", (12, 8), 255)))
    assert "transparent nowhere" in await mask_refusal(saved(Image.new("RGBA", (12, 8), "white")))
    assert "12x9, and the image of 12x8" in await mask_refusal(saved(Image.new("RGBA", (12, 9), (0, 0, 0, 0))))
    assert "broken" in await mask_refusal(b"no mask")
    assert "empty" in await mask_refusal(b"")
    assert "pixels" in await mask_refusal(bomb(20_000, 20_000))


async def test_a_mask_is_one_file() -> None:
    upload = Upload("m.png", "image/png", saved(Image.new("RGBA", (12, 8), (0, 0, 0, 0))))
    with pytest.raises(InvalidRequest, match="one mask") as caught:
        await read_mask(Form({}, {"mask": [upload] * 2}), SOURCE, LIMITS)
    assert caught.value.param == "mask"
    with pytest.raises(InvalidRequest, match="must be a file") as caught:
        await read_mask(Form({"mask": ["aGVsbG8="]}, {}), SOURCE, LIMITS)
    assert caught.value.param == "mask"
