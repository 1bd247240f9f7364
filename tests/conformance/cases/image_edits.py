"""Edited pictures. POST /v1/images/edits and /v1/images/variations."""

import io
from typing import Any

from openai.types import ImageEditCompletedEvent, ImageEditPartialImageEvent, ImagesResponse
from PIL import Image

from tests.conformance.case import case
from tests.conformance.cases.images import first, picture
from tests.conformance.expect import equal, error, ok, refused_or_ok, that
from tests.conformance.target import Answer, Target

SIDE = 256


def png(colour: tuple[int, ...] = (180, 40, 40), side: int = SIDE, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (side, side), colour).save(buffer, "PNG")
    return buffer.getvalue()


def mask() -> bytes:
    """The left half is to be drawn anew: it is transparent."""
    whole = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 255))
    whole.paste((0, 0, 0, 0), (0, 0, SIDE // 2, SIDE))
    buffer = io.BytesIO()
    whole.save(buffer, "PNG")
    return buffer.getvalue()


def edit(target: Target, files: Any = None, **fields: Any) -> Answer:
    data = {"model": target.model("image"), "prompt": "a green apple", "response_format": "b64_json"} | fields
    sent = [("image", ("in.png", png(), "image/png"))] if files is None else files
    return target.form("/images/edits", {name: one for name, one in data.items() if one is not ...}, sent)


def edited(target: Target, files: Any = None, **fields: Any) -> ImagesResponse:
    value: ImagesResponse = target.strict(ImagesResponse, ok(edit(target, files, **fields)).raw)
    that(value.data, "no data")
    return value


@case("OpenAI", needs="image")
def form(target: Target) -> None:
    """One picture in the part `image` and a prompt give a picture, as the SDK declares it."""
    equal(first(edited(target)).format, "PNG", "the picture's format")


@case("OpenAI", needs="image")
def several_inputs(target: Target) -> None:
    """Several pictures in parts `image[]` are used, or refused by name."""
    files = [("image[]", (f"{n}.png", png((n * 90, 90, 90)), "image/png")) for n in range(2)]
    if (answer := refused_or_ok(edit(target, files), "image")) is not None:
        target.strict(ImagesResponse, answer.raw)


@case("OpenAI", needs="image")
def one_in_a_list(target: Target) -> None:
    """One picture in a part `image[]` is the same as in `image`."""
    edited(target, [("image[]", ("in.png", png(), "image/png"))])


@case("OpenAI", needs="image")
def with_mask(target: Target) -> None:
    """With a mask, only what is transparent in it changes."""
    files = [("image", ("in.png", png(), "image/png")), ("mask", ("mask.png", mask(), "image/png"))]
    found = first(edited(target, files, size=f"{SIDE}x{SIDE}")).convert("RGB")
    equal(found.size, (SIDE, SIDE), "the size")
    kept = {found.getpixel((x, y)) for x in range(SIDE * 3 // 4, SIDE, 8) for y in range(0, SIDE, 8)}
    equal(kept, {(180, 40, 40)}, "the colours outside of the mask")


@case("OpenAI", needs="image")
def mask_of_another_size(target: Target) -> None:
    """A mask of another size than the picture: 400 that names it."""
    odd = png((0, 0, 0, 0), 64, "RGBA")
    files = [("image", ("in.png", png(), "image/png")), ("mask", ("mask.png", odd, "image/png"))]
    error(edit(target, files), 400, param="mask")


@case("OpenAI", needs="image")
def several(target: Target) -> None:
    """`n: 2` gives two pictures."""
    equal(len(edited(target, n="2").data or ()), 2, "the number of pictures")


@case("OpenAI", needs="gpt_image")
def gpt_image(target: Target) -> None:
    """A gpt-image name answers `b64_json`."""
    value = edited(target, model=target.model("gpt_image"), response_format=..., input_fidelity="high", quality="low")
    first(value)


@case("OpenAI", needs="gpt_image")
def stream(target: Target) -> None:
    """A stream has `image_edit.partial_image` events and ends with `image_edit.completed`."""
    fields = {"model": target.model("gpt_image"), "stream": "true", "partial_images": "1", "response_format": ...}
    *partial, last = ok(edit(target, **fields)).events()
    equal(last.name, "image_edit.completed", "the last event")
    picture(target.strict(ImageEditCompletedEvent, last.data, "the last event").b64_json)
    for event in partial:
        equal(event.name, "image_edit.partial_image", "the event")
        target.strict(ImageEditPartialImageEvent, event.data, "a partial picture")


@case("OpenAI", needs="image")
def no_picture(target: Target) -> None:
    """Without a picture: 400 that names it."""
    files = [("other", ("in.png", png(), "image/png"))]
    that((error(edit(target, files), 400).param or "").startswith("image"), "the error's param is not image")


@case("OpenAI", needs="image")
def no_prompt(target: Target) -> None:
    """Without prompt: 400 that names it."""
    error(edit(target, prompt=...), 400, param="prompt")


@case("reports", needs="image")
def no_picture_inside(target: Target) -> None:
    """A file that is no picture, whatever its name and type say: 400 that names it."""
    for data in (b"", b"no picture", png()[:60], b"GIF89a" + bytes(40)):
        value = error(edit(target, [("image", ("in.png", data, "image/png"))]), 400)
        that((value.param or "").startswith("image"), f"the error's param is {value.param}")


@case("reports", needs="image")
def wrong_name(target: Target) -> None:
    """A picture under a wrong name and type is read by its bytes."""
    edited(target, [("image", ("in.txt", png(), "text/plain"))])


@case("OpenAI", needs="image")
def huge(target: Target) -> None:
    """A small file that unpacks to 900 million pixels is refused, not unpacked."""
    buffer = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "PNG")
    error(edit(target, [("image", ("in.png", buffer.getvalue(), "image/png"))]), (400, 413))


@case("OpenAI", needs="image")
def json_body(target: Target) -> None:
    """A JSON body where a form is wanted is read, or a 400 or 415 in the envelope."""
    answer = target.post("/images/edits", {"model": target.model("image"), "prompt": "a green apple"})
    error(answer, (400, 415))


@case("OpenAI", needs="image")
def variations(target: Target) -> None:
    """/v1/images/variations gives pictures like the given one."""
    data = {"model": target.model("image"), "n": "2", "response_format": "b64_json"}
    answer = target.form("/images/variations", data, [("image", ("in.png", png(), "image/png"))])
    equal(len(target.strict(ImagesResponse, ok(answer).raw).data or ()), 2, "the number of pictures")


@case("OpenAI", needs="image")
def variation_without_picture(target: Target) -> None:
    """A variation of nothing: 400 that names image."""
    answer = target.form("/images/variations", {"model": target.model("image")}, [("a", ("a", b"a", "text/plain"))])
    error(answer, 400, param="image")
