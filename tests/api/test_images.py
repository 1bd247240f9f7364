"""POST /v1/images/generations and the pictures' URLs, over fake engines and real ASGI."""

import asyncio
import base64
import errno
import json
import os
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from openai import AsyncOpenAI
from PIL import Image

from server.api.openai.image_store import ImageStore
from server.core import Task
from server.errors import StorageFull
from server.settings import Settings
from server.testing import KEY, FakeServer

pytestmark = pytest.mark.anyio

URL = re.compile(r"http://test/v1/images/[0-9a-f]{40}\.(png|jpg|webp)")


async def ask(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post("/v1/images/generations", json={"model": "everything", "prompt": "a red heart", **fields})


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


# ---------------------------------------------------------------- answers


async def test_a_url_is_the_default_and_leads_to_the_picture_without_a_key(
    client: httpx.AsyncClient, fake: FakeServer
) -> None:
    answer = (await ask(client, size="32x48", seed=7)).json()
    [item] = answer["data"]
    assert "b64_json" not in item
    assert URL.fullmatch(item["url"])
    assert item["seed"] == 7
    assert answer["size"] == "32x48"
    assert answer["output_format"] == "png"
    assert answer["quality"] == "medium"  # what auto came to
    assert answer["background"] == "opaque"
    assert answer["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"text_tokens": 3, "image_tokens": 0},
        "output_tokens": 0,
        "total_tokens": 3,
        "images": 1,
        "quality": answer["usage"]["quality"],
    }
    assert answer["usage"]["quality"]["tokens_by_pass"] == [
        {"pass": "answer", "prompt_tokens": 3, "completion_tokens": 0, "images": 1}
    ]
    async with fake.client(key=None) as anyone:
        picture = await anyone.get(item["url"])
    assert picture.status_code == 200
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["cache-control"].startswith("private, max-age=3")
    assert opened(picture.content).size == (32, 48)


async def test_head_tells_the_length_and_sends_nothing(client: httpx.AsyncClient) -> None:
    url = (await ask(client)).json()["data"][0]["url"]
    whole = await client.get(url)
    head = await client.head(url)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == str(len(whole.content))


@pytest.mark.parametrize(("kind", "extension"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")])
async def test_each_output_format_is_what_it_says(client: httpx.AsyncClient, kind: str, extension: str) -> None:
    answer = (await ask(client, output_format=kind)).json()
    assert answer["output_format"] == kind
    url = answer["data"][0]["url"]
    assert url.endswith(f".{extension}")
    picture = await client.get(url)
    assert picture.headers["content-type"] == f"image/{kind}"
    assert opened(picture.content).format == kind.upper()


async def test_base64_on_request_leaves_nothing_on_disk(client: httpx.AsyncClient, settings: Settings) -> None:
    answer = (await ask(client, response_format="b64_json", n=3, seed=1)).json()
    pictures = [base64.b64decode(item["b64_json"]) for item in answer["data"]]
    assert [item.keys() for item in answer["data"]] == [{"b64_json", "seed"}] * 3
    assert len(set(pictures)) == 3
    assert list((settings.data_dir / "images").iterdir()) == []


async def test_the_same_seed_gives_the_same_picture(client: httpx.AsyncClient) -> None:
    first, second, other = [
        (await ask(client, response_format="b64_json", seed=seed)).json()["data"][0]["b64_json"] for seed in (1, 1, 2)
    ]
    assert first == second != other


@pytest.mark.parametrize(
    ("setting", "keys"), [("b64_json", {"b64_json", "seed"}), ("both", {"url", "b64_json", "seed"})]
)
async def test_the_default_form_is_a_setting(tmp_path: Path, setting: Any, keys: set[str]) -> None:
    settings = Settings(data_dir=tmp_path, image_response_format=setting)
    async with FakeServer(settings) as server, server.client() as client:
        assert (await ask(client)).json()["data"][0].keys() == keys
        asked = (await ask(client, response_format="url")).json()
        assert asked["data"][0].keys() == {"url", "seed"}


async def test_urls_begin_with_the_public_url_behind_a_proxy(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "public_url": "https://pictures.example/ai/"})
    async with FakeServer(settings) as server, server.client() as client:
        url = (await ask(client)).json()["data"][0]["url"]
    assert url.startswith("https://pictures.example/ai/v1/images/")


async def test_nulls_unknown_fields_and_dalle_fields_are_tolerated(client: httpx.AsyncClient) -> None:
    answer = await ask(
        client, n=None, size=None, seed=None, user="u", style="vivid", background="auto", moderation="low", verbosity=1
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(("asked", "shown"), [("standard", "medium"), ("hd", "high")])
async def test_quality_is_told_in_its_modern_name(client: httpx.AsyncClient, asked: str, shown: str) -> None:
    assert (await ask(client, quality=asked)).json()["quality"] == shown


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", "x" * 32_001),
        ("n", 0),
        ("n", 11),
        ("size", "big"),
        ("size", "0x64"),
        ("size", "-64x64"),
        ("size", "64x64x64"),
        ("size", "٦٤x٦٤"),
        ("quality", "best"),
        ("response_format", "gif"),
        ("output_format", "gif"),
        ("output_compression", 101),
        ("partial_images", 4),
        ("seed", -1),
        ("seed", 2**63),
        ("steps", 0),
        ("guidance", 31),
        ("negative_prompt", 5),
        ("model", ""),
    ],
)
async def test_wrong_values_are_refused_by_name(client: httpx.AsyncClient, field: str, value: Any) -> None:
    answer = await ask(client, **{field: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_prompt_is_required(client: httpx.AsyncClient) -> None:
    answer = await ask(client, prompt=None)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "missing_required_parameter"
    assert answer.json()["error"]["param"] == "prompt"


async def test_an_id_without_images_is_told_which_have_them(client: httpx.AsyncClient) -> None:
    answer = await ask(client, model="fake-chat")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"
    assert "everything, fake-image" in answer.json()["error"]["message"]


async def test_generations_want_a_key_and_a_post(fake: FakeServer) -> None:
    async with fake.client(key=None) as anyone:
        assert (await ask(anyone)).status_code == 401
        wrong = await anyone.get("/v1/images/generations")
    assert wrong.status_code == 405
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "name", ["nothing.png", "0" * 40 + ".png", "0" * 40 + ".gif", "%2e%2e%2fsecret.png", "..%2Fsecret.png", "."]
)
async def test_names_that_were_never_given_out_are_not_found(
    client: httpx.AsyncClient, settings: Settings, name: str
) -> None:
    (settings.data_dir / "secret.png").write_bytes(b"secret")
    answer = await client.get(f"/v1/images/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_full_disk_is_a_503_without_paths(
    client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = await ask(client)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "storage_full"
    assert str(settings.data_dir) not in answer.text
    assert list((settings.data_dir / "images").iterdir()) == []


# ---------------------------------------------------------------- streams


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    events = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


async def test_a_stream_shows_partial_images_and_then_the_picture(client: httpx.AsyncClient) -> None:
    answer = await ask(client, stream=True, partial_images=2, seed=3, size="16x16", output_format="webp")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    partial, completed = "image_generation.partial_image", "image_generation.completed"
    assert [name for name, _ in events] == [partial, partial, completed]
    assert all(event["type"] == name for name, event in events)
    assert [event["partial_image_index"] for _, event in events[:2]] == [0, 1]
    for _, event in events:
        assert opened(base64.b64decode(event["b64_json"])).format == "WEBP"
        assert isinstance(event["created_at"], int)
        looks = {name: event[name] for name in ("size", "quality", "background", "output_format")}
        assert looks == {"size": "16x16", "quality": "medium", "background": "opaque", "output_format": "webp"}
    assert events[-1][1]["usage"]["input_tokens"] == 3
    assert events[-1][1]["seed"] == 3


async def test_a_stream_of_several_pictures_tells_them_apart(client: httpx.AsyncClient) -> None:
    events = events_of((await ask(client, stream=True, n=2)).text)
    assert [(name, event["index"]) for name, event in events] == [
        ("image_generation.completed", 0),
        ("image_generation.completed", 1),
    ]


async def test_partial_images_are_drawn_for_streams_only(client: httpx.AsyncClient) -> None:
    assert len((await ask(client, partial_images=3)).json()["data"]) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hang_up_stops_the_work(fake: FakeServer, stream: bool) -> None:
    engine = fake.engines[Task.IMAGE]
    engine.gate.close()
    engine.gate.let(1)  # Facts
    body = json.dumps({"model": "everything", "prompt": "a heart", "stream": stream}).encode()
    async with fake.exchange("POST", "/v1/images/generations", body=body):
        await engine.gate.until_waiting()
        assert engine.running == 1
    assert engine.running == 0
    assert fake.registry.leases == 0


# ---------------------------------------------------------------- the store


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> ImageStore:
    made = ImageStore(tmp_path / "pictures", ttl=60, max_bytes=1000, clock=clock)
    await made.start()
    return made


async def test_a_picture_is_gone_after_its_time(store: ImageStore, clock: Clock, tmp_path: Path) -> None:
    name = await store.put(b"picture", "png")
    clock.now += 59
    stored = await store.get(name)
    assert stored is not None
    assert (stored.data, stored.media_type, stored.expires_in) == (b"picture", "image/png", 1)
    clock.now += 1
    assert await store.get(name) is None
    assert list((tmp_path / "pictures").iterdir()) == []


async def test_names_are_long_and_never_repeat(store: ImageStore) -> None:
    names = [await store.put(b"x", "jpeg") for _ in range(20)]
    assert len(set(names)) == 20
    assert all(re.fullmatch(r"[0-9a-f]{40}\.jpg", name) for name in names)


async def test_the_oldest_go_first_when_the_folder_is_full(store: ImageStore, clock: Clock) -> None:
    names = []
    for _ in range(4):
        names.append(await store.put(b"x" * 300, "png"))
        clock.now += 1
    kept = [await store.get(name) is not None for name in names]
    assert kept == [False, True, True, True]


async def test_the_picture_just_written_is_the_last_to_go(tmp_path: Path, clock: Clock) -> None:
    store = ImageStore(tmp_path, ttl=60, max_bytes=10, clock=clock)
    for _ in range(10):
        assert await store.get(await store.put(b"x" * 10, "png")) is not None


async def test_a_picture_larger_than_the_cap_is_refused(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(StorageFull):
        await store.put(b"x" * 1001, "png")
    assert list((tmp_path / "pictures").iterdir()) == []


async def test_a_restart_keeps_what_lives_and_drops_the_rest(store: ImageStore, clock: Clock, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    old = await store.put(b"old", "png")
    clock.now += 50
    young = await store.put(b"young", "png")
    (folder / ".unfinished-1").write_bytes(b"half a pict")
    (folder / "notes.txt").write_text("not a picture of ours")
    clock.now += 20
    again = ImageStore(folder, ttl=60, max_bytes=1000, clock=clock)
    await again.start()
    assert sorted(path.name for path in folder.iterdir()) == sorted([young, "notes.txt"])
    assert await again.get(old) is None
    stored = await again.get(young)
    assert stored is not None
    assert stored.data == b"young"


async def test_a_failed_write_leaves_nothing(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        await store.put(b"picture", "png")
    assert list((tmp_path / "pictures").iterdir()) == []


async def test_many_writers_at_once_keep_the_cap(store: ImageStore, tmp_path: Path) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(store.put, b"x" * 100, "png")
    await store.sweep()
    sizes = [path.stat().st_size for path in (tmp_path / "pictures").iterdir()]
    assert sum(sizes) <= 1000
    assert set(sizes) == {100}


async def test_the_sweeper_drops_expired_pictures_by_itself(store: ImageStore, clock: Clock, tmp_path: Path) -> None:
    await store.put(b"picture", "png")
    clock.now += 60
    sweeper = asyncio.create_task(store.keep_swept(every=0))
    while list((tmp_path / "pictures").iterdir()):
        await asyncio.sleep(0)
    sweeper.cancel()
    await asyncio.wait([sweeper])


# ---------------------------------------------------------------- the OpenAI SDK, unmodified


async def test_the_sdk_generates_and_streams(client: httpx.AsyncClient) -> None:
    sdk = AsyncOpenAI(base_url="http://test/v1", api_key=KEY, http_client=client)  # type: ignore[arg-type]  # it wants a fork of httpx of the same shape
    answer = await sdk.images.generate(model="everything", prompt="a red heart", size="1024x1024", n=1)
    assert answer.data is not None
    assert answer.size == "1024x1024"
    assert URL.fullmatch(answer.data[0].url or "")
    assert answer.usage is not None
    assert answer.usage.input_tokens == 3
    stream = await sdk.images.generate(model="everything", prompt="a heart", stream=True, partial_images=1)
    kinds = []
    async for event in stream:
        kinds.append(event.type)
        assert opened(base64.b64decode(event.b64_json)).format == "PNG"
    assert kinds == ["image_generation.partial_image", "image_generation.completed"]
