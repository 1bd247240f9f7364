"""Jobs for the tiny pipeline of tests/tiny_pipeline.py, and what it draws for them. Imports torch in `load` only."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from server.core import ImageJob, Picture
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
