"""Images from the real server: a picture where an image model is installed, an honest 404 where none is."""

from io import BytesIO

import httpx
import openai
import pytest
from openai import OpenAI
from PIL import Image


def drawing(sdk: OpenAI) -> list[str]:
    """The public names that can draw."""
    return [model.id for model in sdk.models.list() if "image" in model.to_dict()["capabilities"]]  # type: ignore[operator]


def test_a_picture_is_drawn(sdk: OpenAI) -> None:
    names = drawing(sdk)
    if not names:
        pytest.skip("NO IMAGE MODEL IS INSTALLED: scripts/models brings it; nothing of images was tested for real")
    answer = sdk.images.generate(model=names[0], prompt="red heart", extra_body={"seed": 1})
    assert answer.data is not None
    assert answer.data[0].url is not None
    fetched = httpx.get(answer.data[0].url)  # without a key
    assert fetched.headers["content-type"] == "image/png"
    picture = Image.open(BytesIO(fetched.content)).convert("RGB")
    assert min(picture.size) >= 64
    assert len(picture.getcolors(2**24) or ()) > 16, "one flat colour is no picture"


def test_a_name_without_an_image_model_says_who_has_one(sdk: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.images.generate(model="whisper-1", prompt="red heart")
    assert caught.value.code == "model_not_found"
    for name in drawing(sdk):
        assert name in caught.value.message
