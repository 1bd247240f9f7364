"""Text before phonemization, and sentences after it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.engines.piper.text import SHORTEST, is_speakable, pieces, spoken_text


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Wait... what?", "Wait, what?"),
        ("Wait… what?", "Wait, what?"),
        ("He left... Then he came.", "He left. Then he came."),
        ("The end...", "The end."),
        ("gone—yes", "gone — yes"),
        ("Dr. Smith met Mrs. Jones.", "Dr Smith met Mrs Jones."),
        ("a [[b]] c", "a [ [b]] c"),
        ("[[[", "[ [ ["),
        ("a\x00b\x07", "a b"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("half \ud83d emoji", "half ? emoji"),
        (" \n\t ", ""),
        ("\x00\x01", ""),
    ],
)
def test_text_is_put_as_a_person_would_read_it(text: str, read: str) -> None:
    assert spoken_text(text) == read


def test_punctuation_alone_is_not_speakable() -> None:
    assert not is_speakable(list("., ;—"))
    assert not is_speakable([])
    assert is_speakable(list("a."))


def test_a_sentence_within_the_limit_stays_whole() -> None:
    sentence = list("one, two, three")
    assert list(pieces(sentence, 20, 20)) == [sentence]


def test_a_long_sentence_is_cut_after_clauses() -> None:
    sentence = list("the first clause here, the second clause here; and the third one")
    assert ["".join(piece) for piece in pieces(sentence, 30, 60)] == [
        "the first clause here, ",
        "the second clause here; ",
        "and the third one",
    ]


def test_fragments_are_not_cut_off() -> None:
    sentence = list("well, " + "x" * 40 + " y, no")
    assert ["".join(piece) for piece in pieces(sentence, 30, 60)] == ["".join(sentence)]


def test_a_clause_too_long_is_cut_between_words_into_even_parts() -> None:
    sentence = list(" ".join(["word"] * 50))
    parts = list(pieces(sentence, 60, 100))
    assert [symbol for part in parts for symbol in part] == sentence
    assert all(60 <= len(part) <= 100 for part in parts)
    assert all("".join(part).endswith(" ") for part in parts[:-1])


def test_a_word_too_long_is_cut_anywhere() -> None:
    assert [len(part) for part in pieces(["a"] * 250, 60, 100)] == [100, 100, 50]


@given(st.text("ab ,;:.", max_size=400), st.integers(1, 120), st.integers(SHORTEST, 120))
def test_pieces_always_add_up_to_the_sentence(text: str, limit: int, longest: int) -> None:
    parts = list(pieces(list(text), limit, longest))
    assert [symbol for part in parts for symbol in part] == list(text)
    assert all(len(part) <= max(limit, longest) for part in parts)
    assert all(parts) or not text
