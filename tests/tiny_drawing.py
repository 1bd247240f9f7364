"""Jobs for the tiny pipeline of tests/tiny_pipeline.py, and what it draws for them. Imports torch in `load` only."""

import functools
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.core import ImageJob, Picture, Usage
from server.errors import SageholdError
from tests.reading import handled


def load(folder: Path, **changes: Any) -> Any:
    """The engine's handler over a pipeline folder."""
    from server.engines.diffusers.handler import create

    # As the whole config of a model: the engine takes what it knows. One thread: these tensors are tiny.
    return create({"name": "tiny", "path": str(folder), "size": (32, 32), "steps": 4, "threads": 1, **changes})


def job(**fields: Any) -> ImageJob:
    return ImageJob(**{"prompt": "a red heart", **fields})


def pictures(handler: Any, **fields: Any) -> list[Picture]:
    return [event for event in handled(handler, job(**fields)) if isinstance(event, Picture)]


def in_company(handler: Any, *jobs: ImageJob) -> list[list[Any]]:
    """What each of these jobs gets, or the error that it ends by, where all of them were read before the first of them
    was run. Those that fit share their batches, in this order."""
    readings = [handler.read(one) for one in jobs]
    batcher = handler._batcher
    with ThreadPoolExecutor(len(jobs)) as threads:
        running = []
        batcher._pause = batcher._longest_pause = 60.0  # a batch waits until all have come
        for count, reading in enumerate(readings, 1):
            running.append(threads.submit(_events, reading))
            with batcher._changed:
                there = functools.partial(_come, batcher, len(jobs) - count)
                assert batcher._changed.wait_for(there, 60)
        return [one.result(120) for one in running]


def _come(batcher: Any, missing: int) -> bool:
    return len(batcher._coming) == missing


def _events(reading: Any) -> list[Any]:
    found: list[Any] = []
    try:
        with closing(reading):
            found += [event for event in reading.run(None) if isinstance(event, Picture | Usage)]
    except SageholdError as error:
        found.append(error)
    return found


def drawn_sizes(handler: Any, **fields: Any) -> list[tuple[int, int]]:
    """The sizes, width and height, of what the pipeline itself draws for a job of these fields."""
    seen = []
    form = handler.form_for(job(**fields))
    postprocess = form.pipeline.image_processor.postprocess

    def spy(pixels: Any, **kwargs: Any) -> Any:
        seen.append((pixels.shape[3], pixels.shape[2]))
        return postprocess(pixels, **kwargs)

    form.pipeline.image_processor.postprocess = spy
    try:
        pictures(handler, **fields)
    finally:
        form.pipeline.image_processor.postprocess = postprocess
    return seen


def pixels(picture: Picture) -> NDArray[np.int16]:
    return np.asarray(Image.open(BytesIO(picture.data)), np.int16)
