"""Texts as a tokenizer reads them, over one of a dozen words: see tests/tiny_encoders.py for their ids."""

from pathlib import Path

import pytest

from server.engines.embed.rows import Cut, Reader
from server.errors import ModelUnavailable
from tests.tiny_encoders import write_tokenizer

CLS, SEP, RED, GREEN, BLUE, WHITE = 2, 3, 4, 5, 6, 7


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    write_tokenizer(tmp_path)
    return Reader(tmp_path / "tokenizer.json", 6)


def test_each_text_is_framed(reader: Reader) -> None:
    assert [list(ids) for ids in reader.ids(["red blue", ""])] == [[CLS, RED, BLUE, SEP], [CLS, SEP]]
    assert reader.own == 2


def test_control_tokens_in_a_text_are_text(reader: Reader) -> None:
    # [, sep, ]: and not the end of the text.
    assert list(reader.ids(["red [SEP]"])[0]) == [CLS, RED, 10, 12, 11, SEP]
    (row,) = reader.pairs([("red", "[SEP]")])
    assert list(row.ids) == [CLS, RED, SEP, 10, 12, 11, SEP]
    assert list(reader.cut("[SEP] [SEP]", Cut(4)).ids) == [CLS, 10, 12, SEP]


@pytest.mark.parametrize(("side", "left"), [("right", [RED, GREEN]), ("left", [BLUE, WHITE])])
def test_a_cut_text_keeps_its_frame(reader: Reader, side: str, left: list[int]) -> None:
    row = reader.cut("red green blue white", Cut(4, side))  # type: ignore[arg-type]
    assert list(row.ids) == [CLS, *left, SEP]


def test_windows_are_even_and_whole(reader: Reader) -> None:
    rows = reader.windows("red green blue white red", 3)
    assert rows is not None
    assert [list(row.ids) for row in rows] == [[CLS, RED, GREEN, BLUE, SEP], [CLS, WHITE, RED, SEP]]
    assert reader.windows("red " * 9, 2) is None


def test_pairs_tell_their_parts_apart(reader: Reader) -> None:
    (row,) = reader.pairs([("red", "green blue")])
    assert list(row.ids) == [CLS, RED, SEP, GREEN, BLUE, SEP]
    assert row.kinds is not None
    assert list(row.kinds) == [0, 0, 0, 1, 1, 1]


def test_a_pair_is_cut_part_by_part_then_at_the_documents_end(reader: Reader) -> None:
    pair = ("red red red", "green blue white")
    assert list(reader.cut_pair(pair, Cut(1), Cut(2), None).ids) == [CLS, RED, SEP, GREEN, BLUE, SEP]
    assert list(reader.cut_pair(pair, None, None, Cut(7)).ids) == [CLS, RED, RED, RED, SEP, GREEN, SEP]
    assert list(reader.cut_pair(pair, None, None, Cut(5)).ids) == [CLS, RED, RED, SEP, SEP]


def test_a_tokenizer_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json"):
        Reader(tmp_path / "tokenizer.json", 6)
