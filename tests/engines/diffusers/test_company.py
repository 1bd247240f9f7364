"""Requests that share a batch of a real pipeline, tiny: each gets what it would have got alone."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from server.core import Picture, Usage
from server.errors import EngineFailed, InvalidRequest, Overloaded
from tests.tiny_drawing import in_company, job, load, pictures, pixels

KINDS = {"sd": 32, "sdxl": 32, "sd3": 32, "flux-schnell": 32, "flux-dev": 32, "pixart": 256}


@pytest.fixture(scope="module")
def handlers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    families = importlib.import_module("tests.tiny_families")
    folders: Mapping[str, Path] = families.build_all(tmp_path_factory.mktemp("company"), *KINDS)
    return {kind: load(folders[kind], size=(size, size)) for kind, size in KINDS.items()}


@pytest.fixture
def handler(handlers: Mapping[str, Any]) -> Any:
    return handlers["sd"]


class Calls:
    """Of a pipeline: the prompts of each, and the rows of each call of its denoiser."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, handler: Any, **fields: Any) -> None:
        self.prompts: list[Any] = []
        self.rows: list[int] = []
        pipeline = handler.form_for(job(**fields)).pipeline
        denoiser = getattr(pipeline, "transformer", None) or pipeline.unet
        forward, kind = denoiser.forward, type(pipeline)
        call = kind.__call__

        def forwarded(*args: Any, **kwargs: Any) -> Any:
            given = args[0] if args else kwargs.get("hidden_states", kwargs.get("sample"))
            self.rows.append(len(given))
            return forward(*args, **kwargs)

        def called(one: Any, *args: Any, **kwargs: Any) -> Any:
            self.prompts.append(kwargs["prompt"])
            return call(one, *args, **kwargs)

        forwarded.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]
        monkeypatch.setattr(denoiser, "forward", forwarded)
        monkeypatch.setattr(kind, "__call__", called)


def own(found: list[Any]) -> list[Picture]:
    return [event for event in found if isinstance(event, Picture)]


def like(one: Picture, other: Picture) -> bool:
    """Sums of other batch sizes are ordered otherwise: the last bit of a colour may differ."""
    return bool(np.abs(pixels(one) - pixels(other)).max() <= 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_names_its_picture_alone_and_in_company(
    handlers: Mapping[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = handlers[kind]
    fields: list[dict[str, Any]] = [
        {"prompt": "a blue cat, sitting", "seed": 5},
        {"prompt": "red", "seed": 9, "n": 2, "partial_images": 1},
        {"prompt": "a green tree", "seed": 1, "format": "jpeg"},
    ]
    alone = [pictures(handler, **one) for one in fields]
    calls = Calls(monkeypatch, handler)
    together = in_company(handler, *(job(**one) for one in fields))
    assert calls.prompts == [["a blue cat, sitting", "red", "red", "a green tree"]]
    for found, expected, one in zip(together, alone, fields, strict=True):
        assert [(event.index, event.seed, event.partial) for event in own(found)] == [
            (event.index, event.seed, event.partial) for event in expected
        ]
        assert [Image.open(BytesIO(event.data)).format for event in own(found)] == [
            Image.open(BytesIO(event.data)).format for event in expected
        ]
        # A JPEG makes more of a last bit than there was.
        assert all(like(event, other) or one.get("format") for event, other in zip(own(found), expected, strict=True))
        assert isinstance(found[-1], Usage)
        assert found[-1].images == one.get("n", 1)
    assert not like(own(together[0])[0], own(together[2])[0])


@pytest.mark.parametrize(
    "other",
    [
        {"steps": 3},
        {"guidance": 3.0},
        {"width": 64},
        {"negative_prompt": "blue"},
        {"scheduler": "EulerDiscreteScheduler"},
    ],
)
def test_what_one_call_can_not_say_is_drawn_apart(
    handler: Any, other: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch, handler)
    in_company(handler, job(prompt="a"), job(prompt="b", **other), job(prompt="c"))
    assert calls.prompts == [["a", "c"], "b"]


def test_negative_prompts_are_each_ones_own(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [
        {"prompt": "a", "negative_prompt": "blue sky", "seed": 1},
        {"prompt": "b", "negative_prompt": "", "seed": 1},
    ]
    alone = [pictures(handler, **one)[0] for one in fields]
    calls = Calls(monkeypatch, handler)
    together = in_company(handler, *(job(**one) for one in fields))
    assert calls.prompts == [["a", "b"]]
    assert all(like(own(found)[0], one) for found, one in zip(together, alone, strict=True))


def start(colour: str, mode: str = "RGB") -> bytes:
    buffer = BytesIO()
    Image.new(mode, (32, 32), colour).save(buffer, "PNG")
    return buffer.getvalue()


def half() -> bytes:
    buffer = BytesIO()
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 16, 32))
    mask.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("masked", [False, True])
def test_redrawings_share_a_batch_with_a_start_and_a_mask_each(
    handler: Any, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = [half(), start("white", "L")] if masked else [None, None]
    fields = [
        {"starts": (start(colour),), "strength": 0.5, "seed": seed, "mask": mask}
        for colour, seed, mask in zip(("red", "blue"), (1, 2), masks, strict=True)
    ]
    alone = [pictures(handler, **one)[0] for one in fields]
    calls = Calls(monkeypatch, handler, **fields[0])
    together = in_company(handler, *(job(**one) for one in fields))
    assert len(calls.prompts) == 1
    assert all(like(own(found)[0], one) for found, one in zip(together, alone, strict=True))
    if masked:  # what stays is the start's, to the bit
        assert (pixels(own(together[0])[0])[:, 16:] == (255, 0, 0)).all()


# ---------------------------------------------------------------- leaving and failing


def leaving_after(handler: Any, monkeypatch: pytest.MonkeyPatch, steps: int, place: int, **fields: Any) -> None:
    """The member at that place of a batch of several leaves after so many steps."""
    batcher = importlib.import_module("server.engines.diffusers.batcher")
    attend: Callable[[Any], list[int]] = batcher.Batch.attend
    taken: list[Any] = []

    def attended(batch: Any) -> list[int]:
        if len(batch.members) > 1:
            taken.append(batch)
            if len(taken) == steps:
                batch.members[place].fail(EngineFailed("It left."))
        return attend(batch)

    monkeypatch.setattr(batcher.Batch, "attend", attended)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_who_leaves_are_computed_no_more(
    handlers: Mapping[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = handlers[kind]
    alone = pictures(handler, prompt="b", seed=2, n=2, partial_images=1)
    leaving_after(handler, monkeypatch, steps=2, place=0)
    calls = Calls(monkeypatch, handler)
    left, stayed = in_company(handler, job(prompt="a", n=2), job(prompt="b", seed=2, n=2, partial_images=1))
    assert [type(event) for event in left] == [EngineFailed]
    assert len(calls.rows) == 4
    assert [rows * 2 for rows in calls.rows[2:]] == calls.rows[:2]
    assert all(like(event, other) for event, other in zip(own(stayed), alone, strict=True))


def test_a_picture_that_is_no_number_fails_alone(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = importlib.import_module("torch")
    autoencoder = handler.form_for(job()).pipeline.vae
    decode = autoencoder.decode

    def broken(latents: Any, *args: Any, **kwargs: Any) -> Any:
        found = decode(latents, *args, **kwargs)
        if len(latents) > 1:
            found[0][1] = torch.nan
        return found

    monkeypatch.setattr(autoencoder, "decode", broken)
    first, second, third = in_company(handler, *(job(prompt=prompt) for prompt in "abc"))
    assert [type(event) for event in (*first, *second, *third)] == [Picture, Usage, EngineFailed, Picture, Usage]


def test_a_picture_that_the_safety_checker_refuses_fails_alone(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(handler.form_for(job()).pipeline)
    monkeypatch.setattr(kind, "run_safety_checker", lambda _, image, *__: (image, [True, False]))
    first, second = in_company(handler, job(prompt="a"), job(prompt="b"))
    assert isinstance(first[0], InvalidRequest)
    assert first[0].code == "moderation_blocked"
    assert [type(event) for event in second] == [Picture, Usage]


def test_without_memory_for_all_two_halves_are_drawn(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = importlib.import_module("torch")
    pipeline = handler.form_for(job()).pipeline
    monkeypatch.setattr(handler._batcher, "_pixels", handler._batcher._pixels)
    decode = pipeline.vae.decode
    seen: list[int] = []

    def narrow(latents: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(len(latents))
        if len(latents) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode(latents, *args, **kwargs)

    monkeypatch.setattr(pipeline.vae, "decode", narrow)
    jobs = [job(prompt=prompt, seed=place) for place, prompt in enumerate("abcd")]
    found = in_company(handler, *jobs)
    assert seen == [4, 2, 2]
    assert [[type(event) for event in one] for one in found] == [[Picture, Usage]] * 4
    monkeypatch.setattr(pipeline.vae, "decode", lambda *_, **__: (_ for _ in ()).throw(torch.OutOfMemoryError("none")))
    assert isinstance(in_company(handler, job())[0][0], Overloaded)


def test_prompts_are_counted_by_a_tokenizer_that_no_drawing_uses(handler: Any) -> None:
    """One that pads for the pipeline can't count at the same time."""
    assert handler._tokenizer is not handler.form_for(job()).pipeline.tokenizer
