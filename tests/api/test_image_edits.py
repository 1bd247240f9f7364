"""POST /v1/images/edits and /variations, streams of all three routes and the names of models, over fake engines."""

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from openai import AsyncOpenAI, BadRequestError
from openai.types import (
    ImageEditCompletedEvent,
    ImageEditPartialImageEvent,
    ImageGenCompletedEvent,
    ImageGenPartialImageEvent,
    ImagesResponse,
)
from PIL import Image

from server.core import Caller, ImageJob, Task
from server.models.config.spec import DiffusersModel, Price
from server.pipeline.tasks.image import image_cost
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def speckled(width: int = 40, height: int = 24) -> Image.Image:
    values = np.random.default_rng(3).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Image.fromarray(values)


def half_open(width: int = 40, height: int = 24) -> Image.Image:
    """A mask that is transparent on the right."""
    mask = Image.new("RGBA", (width, height), "black")
    mask.paste((0, 0, 0, 0), (width // 2, 0, width, height))
    return mask


def pixels(data: bytes) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int16)


async def post(
    client: httpx.AsyncClient,
    what: str = "edits",
    *,
    files: Mapping[str, bytes] | None = None,
    **fields: Any,
) -> httpx.Response:
    sent = {"image": png(speckled()), **(files or {})}
    parts = [(name, (f"{name}.png", data, "image/png")) for name, data in sent.items()]
    data = {"model": "everything", **({"prompt": "a cat"} if what == "edits" else {}), **fields}
    said = {name: str(value) for name, value in data.items() if value is not None}
    return await client.post(f"/v1/images/{what}", data=said, files=parts)


def last_job(fake: FakeServer) -> ImageJob:
    job = fake.engines[Task.IMAGE].jobs[-1]
    assert isinstance(job, ImageJob)
    return job


# ---------------------------------------------------------------- edits


async def test_an_edit_begins_from_the_picture_and_says_what_was_made(
    client: httpx.AsyncClient, fake: FakeServer
) -> None:
    answer = (await post(client, n=2, seed=5, response_format="b64_json", quality="low")).json()
    assert [item.keys() for item in answer["data"]] == [{"b64_json", "seed"}] * 2
    assert (answer["size"], answer["quality"], answer["background"]) == ("40x24", "low", "opaque")
    assert answer["usage"]["images"] == 2
    job = last_job(fake)
    assert (job.prompt, job.n, job.seed, job.start_size, job.mask) == ("a cat", 2, 5, (40, 24), None)
    (start,) = job.starts
    assert np.array_equal(pixels(start), np.asarray(speckled()))


async def test_only_what_the_mask_leaves_open_changes(client: httpx.AsyncClient, fake: FakeServer) -> None:
    answer = (await post(client, files={"mask": png(half_open())}, response_format="b64_json")).json()
    drawn = pixels(base64.b64decode(answer["data"][0]["b64_json"]))
    before = np.asarray(speckled())
    assert np.array_equal(drawn[:, :20], before[:, :20])
    assert not np.array_equal(drawn[:, 20:], before[:, 20:])
    assert last_job(fake).strength == 1


@pytest.mark.parametrize(
    ("fields", "strength"),
    [
        ({}, 0.75),
        ({"input_fidelity": "low"}, 0.75),
        ({"input_fidelity": "high"}, 0.5),
        ({"strength": 0.2}, 0.2),
        ({"strength": 1, "input_fidelity": "high"}, 1.0),
    ],
)
async def test_fidelity_and_strength_say_how_much_is_left(
    client: httpx.AsyncClient, fake: FakeServer, fields: dict[str, Any], strength: float
) -> None:
    assert (await post(client, **fields)).status_code == 200
    assert last_job(fake).strength == strength


async def test_the_fields_of_generations_hold_for_edits(client: httpx.AsyncClient, fake: FakeServer) -> None:
    answer = await post(
        client, size="64x32", steps=7, guidance=3.5, negative_prompt="dogs", output_format="webp", output_compression=40
    )
    assert answer.status_code == 200
    job = last_job(fake)
    assert (job.width, job.height, job.steps, job.guidance, job.negative_prompt) == (64, 32, 7, 3.5, "dogs")
    assert (job.format, job.compression) == ("webp", 40)
    url = answer.json()["data"][0]["url"]
    assert Image.open(io.BytesIO((await client.get(url)).content)).format == "WEBP"


async def test_ultra_edits_candidates_of_the_one_picture(client: httpx.AsyncClient, fake: FakeServer) -> None:
    answer = (
        await post(client, files={"mask": png(half_open())}, quality="ultra", n=2, seed=1, response_format="b64_json")
    ).json()
    job = last_job(fake)
    assert (job.n, len(job.starts), job.mask is None) == (8, 1, False)
    assert len(answer["data"]) == 2
    for item in answer["data"]:
        assert np.array_equal(pixels(base64.b64decode(item["b64_json"]))[:, :20], np.asarray(speckled())[:, :20])


async def test_variations_need_no_prompt(client: httpx.AsyncClient, fake: FakeServer) -> None:
    answer = await post(client, "variations", n=3, size="256x256")
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 3
    job = last_job(fake)
    assert (job.prompt, job.width, job.height, job.strength, len(job.starts)) == ("", 256, 256, 0.7, 1)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 0),
        ("n", 11),
        ("n", "two"),
        ("size", "huge"),
        ("quality", "best"),
        ("response_format", "gif"),
        ("output_format", "gif"),
        ("output_format", "svg"),
        ("output_compression", 101),
        ("background", "blue"),
        ("input_fidelity", "medium"),
        ("strength", 0),
        ("strength", 1.1),
        ("strength", "nan"),
        ("stream", "perhaps"),
        ("partial_images", 4),
        ("seed", -1),
        ("prompt", "x" * 32_001),
    ],
)
async def test_wrong_fields_of_a_form_are_refused_by_name(client: httpx.AsyncClient, field: str, value: Any) -> None:
    answer = await post(client, **{field: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field


@pytest.mark.parametrize("field", ["style", "moderation", "background"])
async def test_words_that_mean_nothing_are_refused_for_generations(client: httpx.AsyncClient, field: str) -> None:
    body = {"model": "everything", "prompt": "a cat", field: "loud"}
    answer = await client.post("/v1/images/generations", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize("missing", ["prompt", "image"])
async def test_prompt_and_image_are_required(client: httpx.AsyncClient, missing: str) -> None:
    if missing == "prompt":
        answer = await post(client, prompt=None)
    else:
        answer = await client.post("/v1/images/edits", data={"prompt": "a"}, files={"other": ("a", b"b")})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == missing
    assert answer.json()["error"]["code"] == "missing_required_parameter"


async def test_a_picture_must_be_a_file(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/images/edits", data={"prompt": "a", "image": "aGk="}, files={"mask": ("a", b"b")})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")


async def test_two_pictures_are_one_too_many(client: httpx.AsyncClient, fake: FakeServer) -> None:
    parts = [("image[]", (f"{number}.png", png(speckled()), "image/png")) for number in range(2)]
    answer = await client.post("/v1/images/edits", data={"prompt": "a", "model": "everything"}, files=parts)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "image")
    assert "one image at a time" in answer.json()["error"]["message"]
    assert fake.engines[Task.IMAGE].jobs == []


async def test_what_would_be_ignored_is_refused(client: httpx.AsyncClient) -> None:
    markup = await post(client, files={"markup": png(half_open())})
    assert (markup.status_code, markup.json()["error"]["param"]) == (400, "markup")
    jpeg = await post(client, background="transparent", output_format="jpeg")
    assert jpeg.status_code == 400
    assert "transparent background" in jpeg.json()["error"]["message"]


async def test_a_json_body_is_told_what_to_send(client: httpx.AsyncClient) -> None:
    for what in ("edits", "variations"):
        answer = await client.post(f"/v1/images/{what}", json={"prompt": "a cat"})
        assert answer.status_code == 415
        assert "multipart/form-data" in answer.json()["error"]["message"]


async def test_uploads_end_at_the_limit(settings: Settings) -> None:
    limited = settings.model_copy(update={"max_upload": 3000})
    async with FakeServer(limited) as server, server.client() as client:
        answer = await post(client, files={"mask": png(speckled(200, 200))})
        assert answer.status_code == 413
        assert server.engines[Task.IMAGE].jobs == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n",
        b"--y\r\nContent-Disposition: form-data; name=prompt\r\n\r\na cat\r\n--y--\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n\x89PNG\r\n\x1a\n',
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\nContent-Length: 9\r\n\r\nx\r\n--x--\r\n',
    ],
)
async def test_a_body_that_lies_is_a_400(client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = await client.post("/v1/images/edits", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_edits_want_a_key_and_a_post(fake: FakeServer) -> None:
    async with fake.client(key=None) as anyone:
        for what in ("edits", "variations"):
            assert (await post(anyone, what)).status_code == 401
            wrong = await anyone.get(f"/v1/images/{what}")
            assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
        unknown = await anyone.post("/v1/images/collages", headers={"authorization": f"Bearer {KEY}"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_url")


async def test_a_model_that_cant_redraw_says_so(client: httpx.AsyncClient, fake: FakeServer) -> None:
    fake.engines[Task.IMAGE].options = replace(fake.engines[Task.IMAGE].options, refuse="This model can't redraw.")
    answer = await post(client)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "This model can't redraw.")


# ---------------------------------------------------------------- streams


def events_of(text: str) -> list[dict[str, Any]]:
    events = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


STRICT = {
    "image_generation.partial_image": ImageGenPartialImageEvent,
    "image_generation.completed": ImageGenCompletedEvent,
    "image_edit.partial_image": ImageEditPartialImageEvent,
    "image_edit.completed": ImageEditCompletedEvent,
}


def hold_against_the_sdk(event: dict[str, Any], kind: Any) -> None:
    """Every field that the SDK requires is there, and every one that it declares has a value that it declares."""
    kind.model_validate(event, strict=True)
    for name, field in kind.model_fields.items():
        if name in event:
            assert event[name] is not None, name
        else:
            assert not field.is_required(), name
    words = get_args(kind.model_fields["quality"].annotation)
    assert event["quality"] in {word for entry in words for word in (get_args(entry) or (entry,))}


async def stream(client: httpx.AsyncClient, route: str, **fields: Any) -> list[dict[str, Any]]:
    asked = {"stream": True, **fields}
    if route == "generations":
        answer = await client.post(
            "/v1/images/generations", json={"model": "everything", "prompt": "a red heart", **asked}
        )
    else:
        answer = await post(client, route, **{**asked, "stream": "true"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events_of(answer.text)


@pytest.mark.parametrize("quality", ["auto", "low", "medium", "high", "xhigh", "max", "ultra", "standard", "hd"])
@pytest.mark.parametrize("route", ["generations", "edits"])
async def test_events_are_the_sdks_own_to_the_letter(client: httpx.AsyncClient, route: str, quality: str) -> None:
    events = await stream(client, route, partial_images=2, quality=quality, output_format="jpeg")
    for event in events:
        hold_against_the_sdk(event, STRICT[event["type"]])
    kind = "image_generation" if route == "generations" else "image_edit"
    previews = 0 if quality in ("xhigh", "max", "ultra") else 2  # of candidates there are none
    assert [event["type"] for event in events] == [f"{kind}.partial_image"] * previews + [f"{kind}.completed"]
    assert [event["partial_image_index"] for event in events[:-1]] == list(range(previews))


@pytest.mark.parametrize("route", ["generations", "edits"])
async def test_a_stream_without_previews_is_one_event_a_picture(client: httpx.AsyncClient, route: str) -> None:
    events = await stream(client, route, partial_images=0, n=3)
    assert [(event["type"].partition(".")[2], event["index"]) for event in events] == [
        ("completed", number) for number in range(3)
    ]


async def test_a_stream_of_several_pictures_numbers_the_previews_of_each(client: httpx.AsyncClient) -> None:
    events = await stream(client, "edits", partial_images=3, n=2)
    for index in range(2):
        own = [event.get("partial_image_index") for event in events if event["index"] == index]
        assert own == [0, 1, 2, None]


@pytest.mark.parametrize("quality", ["xhigh", "max", "ultra"])
@pytest.mark.parametrize("route", ["generations", "edits"])
async def test_the_highest_quality_is_told_by_a_word_that_the_sdk_knows(
    client: httpx.AsyncClient, route: str, quality: str
) -> None:
    if route == "generations":
        body = {"model": "everything", "prompt": "a cat", "quality": quality, "response_format": "b64_json"}
        answer = (await client.post("/v1/images/generations", json=body)).json()
    else:
        answer = (await post(client, quality=quality, response_format="b64_json")).json()
    ImagesResponse.model_validate(answer, strict=True)
    assert answer["quality"] == "max"
    assert answer["usage"]["quality"]["mode"] == "ultra"


async def test_a_word_for_pictures_is_none_for_chats(client: httpx.AsyncClient) -> None:
    body = {"model": "everything", "messages": [{"role": "user", "content": "hi"}], "quality": "xhigh"}
    answer = await client.post("/v1/chat/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "quality")


# ---------------------------------------------------------------- names


@pytest.fixture
def kin(fake: FakeServer) -> str:
    """A name whose config fixes the form of its pictures."""
    everything = fake.catalog.listed[0]
    fake.catalog.listed.append(replace(everything, id="gpt-image-1", image_response_format="b64_json"))
    return "gpt-image-1"


@pytest.mark.parametrize("suffix", ["", ":ultra"])
@pytest.mark.parametrize("asked", [None, "b64_json", "url"])
async def test_names_of_gpt_images_answer_base64_whatever_is_asked(
    client: httpx.AsyncClient, settings: Settings, kin: str, asked: str | None, suffix: str
) -> None:
    body = {"model": kin + suffix, "prompt": "a cat", "response_format": asked}
    generated = (await client.post("/v1/images/generations", json=body)).json()
    edited = (await post(client, model=kin + suffix, response_format=asked)).json()
    for answer in (generated, edited):
        assert answer["data"][0].keys() == {"b64_json", "seed"}
    assert list((settings.data_dir / "images").iterdir()) == []


async def test_the_setting_holds_for_other_names_only(settings: Settings) -> None:
    both = settings.model_copy(update={"image_response_format": "both"})
    async with FakeServer(both) as server, server.client() as client:
        everything = server.catalog.listed[0]
        server.catalog.listed.append(replace(everything, id="gpt-image-1", image_response_format="b64_json"))
        for name, keys in (("everything", {"url", "b64_json", "seed"}), ("gpt-image-1", {"b64_json", "seed"})):
            assert (await post(client, model=name)).json()["data"][0].keys() == keys


async def test_without_a_model_the_first_name_that_draws_is_taken(fake: FakeServer) -> None:
    fake.accounts.keys["sk-narrow"] = Caller(  # type: ignore[attr-defined]
        key_id="narrow", account_id="a", models=frozenset({"fake-chat", "fake-image"})
    )
    fake.catalog.listed.insert(0, fake.catalog.listed.pop(1))  # a name that doesn't draw comes first
    assert Task.IMAGE not in fake.catalog.listed[0].tasks
    async with fake.client() as client, fake.client(key="sk-narrow") as narrow:
        for one in (client, narrow):
            generated = await one.post("/v1/images/generations", json={"prompt": "a cat", "model": None})
            for answer in (generated, await post(one, model=None), await post(one, "variations", model=None)):
                assert answer.status_code == 200
        fake.catalog.listed = [one for one in fake.catalog.listed if Task.IMAGE not in one.tasks]
        none = await client.post("/v1/images/generations", json={"prompt": "a cat"})
    assert (none.status_code, none.json()["error"]["code"]) == (404, "model_not_found")


# ---------------------------------------------------------------- prices


@pytest.mark.parametrize(
    ("start", "sizes", "cost"),
    [
        ((512, 512), (), 4),
        ((4000, 3000), (), 4),  # as many pixels as the model's own size has
        ((512, 512), ("512x512", "1024x1024"), 4),
        ((2000, 1900), ("512x512", "1024x1024"), 16),
        ((60, 50), ("512x512", "1024x1024"), 4),
    ],
)
def test_a_redrawing_without_a_size_costs_what_its_size_costs(
    start: tuple[int, int], sizes: tuple[str, ...], cost: int
) -> None:
    spec = DiffusersModel.model_validate(
        {"name": "brush", "engine": "diffusers", "path": "x", "size": [512, 512], "sizes": sizes, "steps": 10}
    )
    job = ImageJob(prompt="a cat", starts=(b"",), start_size=start, strength=0.5)
    assert image_cost(spec, Price(image=4), job) == cost
    assert image_cost(spec, Price(image_step=1), job) == 5


# ---------------------------------------------------------------- the OpenAI SDK, unmodified


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of the SDK's, for variations
async def test_the_sdk_edits_varies_and_streams(client: httpx.AsyncClient) -> None:
    sdk = AsyncOpenAI(base_url="http://test/v1", api_key=KEY, http_client=client)  # type: ignore[arg-type]
    picture, mask = png(speckled()), png(half_open())
    edited = await sdk.images.edit(image=picture, mask=mask, prompt="a cat", model="everything", size="256x256")
    assert edited.data is not None
    assert edited.size == "256x256"
    assert (edited.data[0].url or "").startswith("http://test/v1/images/")
    listed = await sdk.images.edit(image=[picture], prompt="a cat", response_format="b64_json")
    assert listed.data is not None
    assert pixels(base64.b64decode(listed.data[0].b64_json or "")).shape == (24, 40, 3)
    with pytest.raises(BadRequestError) as caught:
        await sdk.images.edit(image=[picture, picture], prompt="a cat")
    assert caught.value.param == "image"
    varied = await sdk.images.create_variation(image=picture, n=2, size="512x512", response_format="b64_json")
    assert varied.data is not None
    assert len(varied.data) == 2
    kinds = [
        event.type
        async for event in await sdk.images.edit(image=picture, prompt="a cat", stream=True, partial_images=1)
    ]
    assert kinds == ["image_edit.partial_image", "image_edit.completed"]
