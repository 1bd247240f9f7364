"""The form of pictures by a bundle's names: a field of the config, which reaches the public names."""

from pathlib import Path
from typing import get_args

import pytest
import yaml
from openai.types import ImageModel

from server.models.config.catalog import Catalog, CatalogError

ROOT = Path(__file__).parents[3]

CONFIG = """\
name: brush
engine: fake
serves: [image]
---
bundle: plain
tasks: {image: brush}
names: [{id: dall-e-2}]
---
bundle: kin
image_response_format: b64_json
tasks: {image: brush}
names: [{id: gpt-image-1}, {id: gpt-image-1-mini}]
"""


def forms(text: str, folder: Path) -> dict[str, str | None]:
    (folder / "configs").mkdir()
    (folder / "configs/all.yaml").write_text(text)
    catalog = Catalog.load(folder / "configs", folder, None)
    return {one.id: one.image_response_format for one in catalog.public_models()}


def test_a_bundle_fixes_the_form_for_its_own_names(tmp_path: Path) -> None:
    expected = {"brush": None, "dall-e-2": None, "gpt-image-1": "b64_json", "gpt-image-1-mini": "b64_json"}
    assert forms(CONFIG, tmp_path) == expected


def test_another_word_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="image_response_format"):
        forms(CONFIG.replace("b64_json", "base64"), tmp_path)


def test_the_starter_names_are_the_sdks_with_base64_for_all_but_dall_e() -> None:
    documents = list(yaml.safe_load_all((ROOT / "model_configs/starter.yaml").read_text()))
    given = {
        name["id"]: bundle.get("image_response_format")
        for bundle in documents
        if "image" in bundle["tasks"] and "chat" not in bundle["tasks"]
        for name in bundle["names"]
    }
    dated = {name for name in get_args(ImageModel) if name[-11:-6].strip("-").isdigit()}  # such as …-2026-04-21
    assert set(given) == set(get_args(ImageModel)) - dated
    assert {name for name, form in given.items() if form is None} == {"dall-e-2", "dall-e-3"}
