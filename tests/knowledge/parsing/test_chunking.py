"""Chunks lose nothing, keep to their size and to the order, and are where they say."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.knowledge.parsing.chunking import Count, chunked
from server.knowledge.parsing.parsed import BETWEEN, Block


def words(text: str) -> int:
    """A token for each word, two at the ends of any text, as the embedding models' tokenizers add them."""
    return len(text.split()) + 2


def pieces(text: str) -> int:
    """As a tokenizer of letters' pieces: more than words, and one for each sign of Chinese."""
    return sum(
        1 if piece[0] > "\u2e80" else -(-len(piece) // 4)
        for piece in re.findall("[\u2e80-\uffff]|[^\\s\u2e80-\uffff]+", text)
    )


def of(*blocks: Block, most: int = 10, overlap: int = 0) -> list[str]:
    return [chunk.text for chunk in chunked(blocks, words, most, overlap)]


texts = (
    st.lists(
        st.sampled_from(["word", "it.", "What?", "Ende!", "中文字。", "a" * 90, "e\u0301" * 20, "\n", "x; y", "1.5"]),
        min_size=1,
        max_size=60,
    )
    .map(" ".join)
    .filter(lambda text: not text.isspace())
)
blocks_of = st.lists(
    st.builds(
        Block,
        texts,
        st.sampled_from([(), ("A",), ("A", "B b b"), ("long " * 30,)]),
        st.sampled_from([None, 1, 2]),
        lines=st.booleans(),
    ),
    max_size=8,
)


@settings(max_examples=80, deadline=None)
@given(blocks_of, st.integers(12, 60), st.integers(0, 11), st.sampled_from([words, pieces]))
def test_nothing_is_lost_nor_too_large_nor_out_of_order(
    blocks: list[Block], most: int, overlap: int, count: Count
) -> None:
    chunks = chunked(blocks, count, most, overlap)
    whole = BETWEEN.join(block.text for block in blocks)
    assert [chunk.place for chunk in chunks] == list(range(len(chunks)))
    at = 0
    for chunk in chunks:
        assert count(chunk.searched) <= most
        assert chunk.text == whole[chunk.start : chunk.end] == chunk.text.strip()
        assert whole[at : chunk.start].strip() == ""  # from the end of what came before: nothing is left out
        assert chunk.end > at or not whole
        at = chunk.end
    assert whole[at:].strip() == ""


def test_a_chunk_ends_where_a_block_does() -> None:
    assert of(Block("one two three"), Block("four five six"), Block("seven eight nine")) == [
        "one two three\n\nfour five six",
        "seven eight nine",
    ]


def test_no_chunk_is_under_two_headings_or_on_two_pages() -> None:
    blocks = [Block("a", ("A",)), Block("b", ("A",)), Block("c", ("A", "B")), Block("d", ("A", "B"), 2)]
    assert [(c.text, c.heading, c.page) for c in chunked(blocks, words, 20, 0)] == [
        ("a\n\nb", "A", None),
        ("c", "A › B", None),
        ("d", "A › B", 2),
    ]


def test_sentences_are_kept_and_repeated() -> None:
    text = "One two three. Four (five six.) Seven eight e.g. nine. Ten eleven twelve."
    assert of(Block(text), most=9) == ["One two three. Four (five six.)", "Seven eight e.g. nine. Ten eleven twelve."]
    assert of(Block(text), most=10, overlap=4) == [
        "One two three. Four (five six.)",
        "Four (five six.) Seven eight e.g. nine.",
        "Seven eight e.g. nine. Ten eleven twelve.",
    ]


def test_a_row_is_not_torn_if_it_fits() -> None:
    table = "\n".join(f"name: {i}; role: x" for i in range(4))
    assert of(Block(table, lines=True)) == [
        "name: 0; role: x\nname: 1; role: x",
        "name: 2; role: x\nname: 3; role: x",
    ]


def test_text_without_spaces_is_cut_between_its_signs() -> None:
    chunks = chunked([Block("中文" * 40)], pieces, 30, 0)
    assert [len(chunk.text) for chunk in chunks] == [30, 30, 20]


def test_a_letter_is_not_cut_from_its_accent() -> None:
    chunks = chunked([Block("e\u0301" * 100)], lambda text: len(text), 15, 0)
    assert all(chunk.text[0] == "e" for chunk in chunks)


def test_a_long_heading_leaves_room() -> None:
    (chunk,) = chunked([Block("text", ("outer " * 9, "inner"))], words, 12, 0)
    assert chunk.heading == "inner"
    (chunk,) = chunked([Block("text", ("word " * 40,))], words, 12, 0)
    assert chunk.heading.startswith("word")
    assert words(chunk.heading) <= 4


def test_a_recordings_chunks_have_its_times() -> None:
    blocks = [
        Block("one two", start=0, end=900),
        Block("three four", start=1000, end=2500),
        Block("five six", start=2600, end=3000),
    ]
    assert [(c.start, c.end) for c in chunked(blocks, words, 6, 0)] == [(0, 2500), (2600, 3000)]


def test_counting_grows_with_the_text_only() -> None:
    counted = 0

    def count(text: str) -> int:
        nonlocal counted
        counted += len(text)
        return words(text)

    sizes = []
    for size in (1_000, 4_000):
        counted = 0
        chunked([Block("word " * 4_000)] * (size // 1_000), count, 50)
        sizes.append(counted / size)
    assert sizes[1] <= sizes[0] * 1.05


@pytest.mark.parametrize(("most", "overlap"), [(0, 0), (10, 10), (10, -1)])
def test_sizes_that_make_no_sense(most: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="most"):
        chunked([Block("x")], words, most, overlap)
