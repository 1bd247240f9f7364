"""Final answers in one spelling."""

import pytest

from server.pipeline.strategies.chat.final_answer import final_answer, number


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Paris.", "paris"),
        ("**The Paris**", "paris"),
        ("The answer is: Paris\nas everybody knows", "paris"),
        ("I think the answer is Paris, since it is the largest. Others say Lyon.", "paris"),
        ("First 2, then 3.\nFinal answer: 5 apples", "5 apples"),
        (r"So we get \boxed{42}.", "42"),
        ("reasons\n#### 1,234", "1234"),
        ('{"b": 1, "a": [2]}', '{"a": [2], "b": 1}'),
        ("42.0", "42"),
        ("A long text of several lines,\nwhich has no answer of its own.", None),
        ("word " * 30, None),
        ("", None),
        ("{broken", "broken"),
    ],
)
def test_what_a_text_comes_to(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("3 + 4 = 7", "7"),
        ("He has 12 apples, gives 5 away, so 7 are left.", "7"),
        ("The answer is 1,250.50 dollars, not 3", "1250.5"),
        ("There are none.", None),
        ("-4", "-4"),
    ],
)
def test_where_a_number_is_asked_for_the_last_one_counts(text: str, answer: str | None) -> None:
    assert final_answer(text, numeric=True) == answer


def test_numbers_have_one_spelling() -> None:
    assert {number("1,000"), number("1000.00"), number("it is 1000")} == {"1000"}
    assert number("no") is None
