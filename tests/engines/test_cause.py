"""What is said of an exception that ended a load: its own words, on one line, without this machine's paths."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError, field_validator

from server.engines import cause


class Sized(BaseModel):
    size: int
    name: str = ""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name:
            raise ValueError(f"there is no {name} in /opt/names/list.txt")
        return name


def test_the_kind_and_the_words() -> None:
    assert cause.described(TypeError("unexpected keyword 'x'")) == "TypeError: unexpected keyword 'x'"
    assert cause.described(KeyError("lm_head.weight")) == "KeyError: 'lm_head.weight'"
    assert cause.described(MemoryError()) == "MemoryError"


def test_a_text_of_many_lines_becomes_one() -> None:
    error = RuntimeError("Error(s) in loading:\n\n\tsize mismatch for a.weight\n  and for b.weight\n")
    assert cause.described(error) == "RuntimeError: Error(s) in loading: size mismatch for a.weight and for b.weight"


def test_a_long_text_is_cut_between_words() -> None:
    line = cause.described(ValueError("word " * 500))
    assert len(line) <= cause.LONGEST
    assert line.endswith("word…")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("can't read /srv/models/chat/model.safetensors: bad header", "can't read model.safetensors: bad header"),
        ("No such file: '/home/ann/.cache/x.json'", "No such file: 'x.json'"),
        ("in ~/models/chat or /data/chat/", "in chat or chat"),
        ("(path=/a/b,other=/c/d)", "(path=b,other=d)"),
        ("file:///etc/models/one.json is empty", "one.json is empty"),
        ("see https://example.org/docs/x, or a/b and 3/4 GiB", "see https://example.org/docs/x, or a/b and 3/4 GiB"),
        ("tokens/s, and/or", "tokens/s, and/or"),
        ("too long. See https://example.org/kv for more details.", "too long."),
    ],
)
def test_paths_become_names(text: str, cleaned: str) -> None:
    assert cause.cleaned(text) == cleaned


def test_places_with_blanks_are_known_by_name() -> None:
    folder = Path("/srv/our models/chat one")
    assert cause.cleaned(f"{folder}/config.json is no JSON", [folder]) == "chat one/config.json is no JSON"


def test_pydantic_is_told_without_its_input_and_its_address() -> None:
    with pytest.raises(ValidationError) as caught:
        Sized.model_validate({"size": "wide", "name": "secret"})
    assert cause.described(caught.value) == (
        "size: Input should be a valid integer, unable to parse string as an integer; "
        "ValueError: there is no secret in list.txt"
    )
