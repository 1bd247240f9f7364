"""What the pages' programs take for fields of the SDK's methods, against the methods of the SDK that is installed."""

import inspect
import re
from typing import Any

import openai
import pytest

from server.web.files import STATIC

TEXT = (STATIC / "js/code/sdk.js").read_text()
METHODS = re.findall(r'"(/v1/[\w/]+)": \{\s*method: "([\w.]+)",\s*fields:\s*"([^"]+)"', TEXT)


def test_every_method_is_looked_at() -> None:
    assert len(METHODS) == TEXT.count('method: "') == len({path for path, *_ in METHODS}) > 8


@pytest.mark.parametrize(("path", "method", "fields"), METHODS, ids=[path for path, *_ in METHODS])
def test_the_method_knows_these_fields(path: str, method: str, fields: str) -> None:
    """One that it does not know would end the program before anything is sent."""
    found: Any = openai.OpenAI(api_key="none")
    for name in re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", method).split("."):
        found = getattr(found, name)
    assert set(fields.split()) <= set(inspect.signature(found).parameters), path
