"""The chat questions: from the seed alone, of each kind alike, and with answers that their own checkers take."""

import json
from collections import Counter
from dataclasses import asdict
from random import Random

import pytest

from scripts.quality.chat import SIZE, items
from scripts.quality.checkers import CHECKERS
from scripts.quality.questions import GROUPS, Question, questions


def test_the_seed_makes_the_questions() -> None:
    assert questions(60, 5) == questions(60, 5)
    assert {one.prompt for one in questions(60, 5)} != {one.prompt for one in questions(60, 6)}


def test_a_smaller_set_is_the_beginning_of_a_larger_one() -> None:
    assert questions(90, 5)[:40] == questions(40, 5)


def test_the_set_is_large_and_none_comes_twice() -> None:
    asked = items(SIZE, 1)
    assert len(asked) == SIZE >= 200
    assert len({one.prompt for one in asked}) == len({one.id for one in asked}) == SIZE


def test_the_kinds_have_equal_shares() -> None:
    shares = Counter(one.kind for one in questions(300, 2))
    assert shares == {"arithmetic": 100, "extraction": 100, "form": 100}


def test_each_question_has_a_checker_that_an_empty_answer_does_not_pass() -> None:
    for one in questions(120, 3):
        assert not CHECKERS[one.check]("", one.expected), one


def test_the_text_of_an_extraction_holds_the_answer_and_the_traps() -> None:
    for one in questions(300, 4):
        if one.check == "named":
            assert CHECKERS["named"](one.expected["right"], one.expected), one
            assert not CHECKERS["named"](one.prompt, one.expected) or not one.expected["wrong"], one
            assert one.expected["right"] in one.prompt


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="has no more"):
        questions(5000, 1)


def test_sums_are_right() -> None:
    """Reckoned anew from the prompt, for the makers whose prompt is the sum."""
    signs = {"plus_tens": int.__add__, "minus": int.__sub__}
    for sort, sign in signs.items():
        made = GROUPS["arithmetic"][sort](Random(9))
        left, right = (int(word) for word in made.prompt.rstrip("?").split() if word.isdecimal())
        assert made.expected == sign(left, right)


def test_a_question_can_be_kept_as_json() -> None:
    one = questions(5, 1)[4]
    assert Question(**json.loads(json.dumps(asdict(one)))) == one
