"""Pictures. POST /v1/images/generations."""

import base64
import io
from typing import Any

from openai.types import ImageGenCompletedEvent, ImageGenPartialImageEvent, ImagesResponse
from PIL import Image

from tests.conformance.case import Failed, case
from tests.conformance.expect import among, equal, error, ok, that
from tests.conformance.target import Answer, Target

PROMPT = "a red apple"


def draw(target: Target, **fields: Any) -> Answer:
    body = {"model": target.model("image"), "prompt": PROMPT} | fields
    return target.post("/images/generations", {name: value for name, value in body.items() if value is not ...})


def drawn(target: Target, **fields: Any) -> ImagesResponse:
    value: ImagesResponse = target.strict(ImagesResponse, ok(draw(target, **fields)).raw)
    that(value.data, "no data")
    return value


def picture(data: str | None) -> Image.Image:
    if not data:
        raise Failed("no b64_json")
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as opened:
        opened.load()
        return opened.copy() if opened.format is None else opened


def first(value: ImagesResponse) -> Image.Image:
    return picture((value.data or [])[0].b64_json)


@case("OpenAI", needs="image")
def form(target: Target) -> None:
    """The answer is as the SDK declares it, with `created` and a picture."""
    value = drawn(target, response_format="b64_json")
    equal(len(value.data or ()), 1, "the number of pictures")
    equal(first(value).format, "PNG", "the picture's format")


@case("OpenAI, sagehold", needs="image")
def url(target: Target) -> None:
    """Without response_format a dall-e name answers a URL that gives the picture, without a key."""
    one = (drawn(target).data or [])[0]
    that(one.url, "no url")
    answer = ok(target.get(one.url or "", key=""))
    among(answer.media_type, ("image/png", "image/jpeg", "image/webp"), "the picture's type")
    with Image.open(io.BytesIO(answer.raw)) as opened:
        opened.load()


@case("OpenAI", needs="image")
def url_asked(target: Target) -> None:
    """`response_format: url` is honoured."""
    one = (drawn(target, response_format="url").data or [])[0]
    that((one.url or "").startswith("http"), f"the url is {one.url}")


@case("OpenAI", needs="image")
def several(target: Target) -> None:
    """`n: 2` gives two pictures, and they differ."""
    data = drawn(target, n=2, response_format="b64_json").data or []
    equal(len(data), 2, "the number of pictures")
    that(data[0].b64_json != data[1].b64_json, "both pictures are the same")


@case("OpenAI", needs="image")
def size(target: Target) -> None:
    """`size` is the size of the picture."""
    equal(first(drawn(target, size="256x256", response_format="b64_json")).size, (256, 256), "the size")


@case("reports", needs="image")
def size_words(target: Target) -> None:
    """The sizes of each generation of the API are taken, or refused with what is served."""
    for word in ("auto", "256x256", "512x512", "1024x1024", "1536x1024", "1792x1024"):
        answer = draw(target, size=word, response_format="b64_json")
        if answer.status != 200:
            error(answer, 400, param="size")


@case("reports", needs="image")
def quality_words(target: Target) -> None:
    """The words of `quality` of each generation of the API are taken, or refused with what is served."""
    for word in ("auto", "low", "medium", "high", "standard", "hd", "xhigh", "max"):
        answer = draw(target, quality=word, response_format="b64_json")
        if answer.status == 200:
            target.strict(ImagesResponse, answer.raw)
        else:
            error(answer, 400, param="quality")


@case("OpenAI", needs="image")
def formats(target: Target) -> None:
    """`output_format` is the format of the bytes."""
    for name in ("png", "jpeg", "webp"):
        value = drawn(target, output_format=name, response_format="b64_json", size="256x256")
        equal((first(value).format or "").lower(), name, "the picture's format")


@case("OpenAI", needs="image")
def accepted(target: Target) -> None:
    """`style`, `background`, `moderation`, `user` and unknown fields are accepted."""
    drawn(target, style="vivid", background="auto", moderation="low", user="ada", some_new_field=1)


@case("reports", needs="image")
def no_model(target: Target) -> None:
    """`model` is optional."""
    drawn(target, model=...)


@case("reports, sagehold", needs="gpt_image")
def gpt_image(target: Target) -> None:
    """A gpt-image name answers `b64_json`, whatever is asked for."""
    for fields in ({}, {"response_format": "b64_json"}):
        one = (drawn(target, model=target.model("gpt_image"), **fields).data or [])[0]
        that(one.b64_json, "no b64_json")
        that(one.url is None, "a url")


@case("OpenAI", needs="gpt_image")
def facts(target: Target) -> None:
    """A gpt-image answer says size, quality, background, output_format and usage, in declared words."""
    value = drawn(target, model=target.model("gpt_image"), quality="low")
    absent = [name for name in ("size", "quality", "background", "output_format", "usage") if not getattr(value, name)]
    that(not absent, f"missing: {', '.join(absent)}")


@case("OpenAI", needs="gpt_image")
def stream(target: Target) -> None:
    """A stream ends with `image_generation.completed`, its event's name and type, as the SDK declares it."""
    body = {"model": target.model("gpt_image"), "prompt": PROMPT, "stream": True}
    events = ok(target.post("/images/generations", body)).events()
    equal([event.name for event in events], ["image_generation.completed"], "the events")
    picture(target.strict(ImageGenCompletedEvent, events[-1].data, "the event").b64_json)


@case("OpenAI", needs="gpt_image")
def partial_images(target: Target) -> None:
    """`partial_images: 2` sends up to two partial pictures before, indexed from 0."""
    body = {"model": target.model("gpt_image"), "prompt": PROMPT, "stream": True, "partial_images": 2}
    *partial, last = ok(target.post("/images/generations", body)).events()
    target.strict(ImageGenCompletedEvent, last.data, "the last event")
    that(0 < len(partial) <= 2, f"{len(partial)} partial pictures")
    for place, event in enumerate(partial):
        equal(event.name, "image_generation.partial_image", "the event")
        value = target.strict(ImageGenPartialImageEvent, event.data, "a partial picture")
        equal(value.partial_image_index, place, "partial_image_index")
        picture(value.b64_json)


def _wrong(name: str, title: str, param: str, **fields: Any) -> None:
    def check(target: Target) -> None:
        equal(error(draw(target, **fields), 400).param, param, "the error's param")

    check.__name__ = name
    check.__doc__ = f"{title}: 400 with param `{param}`."
    case("OpenAI", needs="image")(check)


_wrong("no_prompt", "Without prompt", "prompt", prompt=...)
_wrong("empty_prompt", "An empty prompt", "prompt", prompt="")
_wrong("no_pictures", "n: 0", "n", n=0)
_wrong("too_many_pictures", "n: 11", "n", n=11)
_wrong("unknown_size", "A size that is none", "size", size="large")
_wrong("huge_size", "A size of 100,000 pixels", "size", size="100000x100000")
_wrong("unknown_quality", "An unknown quality", "quality", quality="superb")
_wrong("unknown_response_format", "An unknown response_format", "response_format", response_format="svg")
_wrong("unknown_output_format", "An unknown output_format", "output_format", output_format="bmp")
_wrong("unknown_partial_images", "partial_images: 9", "partial_images", partial_images=9)


@case("OpenAI", needs="image")
def unknown_model(target: Target) -> None:
    """An unknown model: 404 with code model_not_found."""
    error(draw(target, model="none-of-that-name"), 404, code="model_not_found")


@case("OpenAI")
def no_such_picture(target: Target) -> None:
    """A picture's URL that isn't there: 404 in the envelope."""
    error(target.get("/images/none-of-that-name.png", here=False), 404)
