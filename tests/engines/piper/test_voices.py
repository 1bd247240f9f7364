"""Voice names: OpenAI's always work, installed ones by their own names, and any other is answered with the list."""

import pytest

from server.engines.piper.voices import OPENAI_VOICES, known_names, resolve
from server.errors import InvalidRequest


def test_every_openai_name_reaches_the_only_voice() -> None:
    for name in OPENAI_VOICES:
        assert resolve(name, {"joe": ()}) == "joe"
    assert resolve("joe", {"joe": ()}) == "joe"


def test_a_claimed_name_reaches_its_voice_and_the_rest_the_first() -> None:
    installed = {"joe": ("onyx",), "amy": ("nova", "alloy", "narrator")}
    assert resolve("nova", installed) == "amy"
    assert resolve("alloy", installed) == "amy"
    assert resolve("narrator", installed) == "amy"
    assert resolve("shimmer", installed) == "joe"


def test_a_voice_s_own_id_wins_and_of_two_claims_the_first() -> None:
    installed = {"alloy": (), "echo": ("alloy", "fable"), "joe": ("fable",)}
    assert resolve("alloy", installed) == "alloy"
    assert resolve("echo", installed) == "echo"
    assert resolve("fable", installed) == "echo"


def test_names_are_listed_once_and_in_order() -> None:
    names = list(known_names({"joe": ("narrator", "onyx")}))
    assert names == ["joe", *OPENAI_VOICES, "narrator"]


def test_case_and_space_around_are_forgiven() -> None:
    assert resolve(" Alloy", {"joe": ()}) == "joe"


@pytest.mark.parametrize("voice", ["nobody", "", "\ud800", "x" * 5000])
def test_an_unknown_voice_is_answered_with_the_names(voice: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve(voice, {"joe": ("narrator",)})
    assert caught.value.param == "voice"
    for name in ("joe", "narrator", *OPENAI_VOICES):
        assert name in caught.value.message
    assert len(caught.value.message.encode()) < 400
