"""Which answers to the chat questions are right: tables."""

from typing import Any

import pytest

from scripts.quality.checkers import CHECKERS

CITY = {"right": "Oslo", "wrong": ["Berlin"]}
PRICE = {"right": "27", "wrong": ["92"]}
PERSON = {"name": "Anna", "age": 31}

RIGHT: list[tuple[str, str, Any]] = [
    ("number", "12", 12),
    ("number", "7 + 5 = 12", 12),
    ("number", "7 + 5 equals 12.", 12),
    ("number", "The answer is $1,200.", 1200),
    ("number", "The answer is 12. You can check it: 12 - 5 = 7", 12),
    ("number", "5 + 3 = 8 apples, and 8 - 2 = 6 apples. She gave away 2.", 6),
    ("number", "Tom has 8 - 3 = 5 cards.", 5),
    ("number", "There are 4 boxes, so 20 in all: 20", 20),
    ("number", "-3", -3),
    ("named", "Sara lives in Oslo.", CITY),
    ("named", "OSLO", CITY),
    ("named", "It costs 27 dollars.", PRICE),
    ("named", "$27.", PRICE),
    ("exactly", " The cat is small.\n", "The cat is small."),
    ("one_word", "Tokyo.", ["Tokyo"]),
    ("one_word", "YES", ["yes"]),
    ("numbered", "1. Apple\n2. Pear\n3. Plum", 3),
    ("numbered", "1) Apple\n\n2) Pear", 2),
    ("json_object", '{"name": "Anna", "age": 31}', PERSON),
    ("json_object", '\n{"age": "31", "name": "anna"}\n', PERSON),
    ("sentences", "Dogs bark. They run 3.5 miles!", 2),
    ("sentence_with", "The River is wide.", "river"),
]
WRONG: list[tuple[str, str, Any]] = [
    ("number", "", 12),
    ("number", "I don't know.", 12),
    ("number", "The answer is 13, not 12.", 12),
    ("number", "7 + 5 = 13", 12),
    ("number", "120", 12),
    ("number", "The result is 6. But 5 + 3 = 8", 8),
    ("named", "Berlin", CITY),
    ("named", "Sara lives in Oslo, Tom in Berlin.", CITY),
    ("named", "Oslofjord", CITY),
    ("named", "It costs 927 dollars.", PRICE),
    ("named", "27.50", PRICE),
    ("exactly", "Sure: The cat is small.", "The cat is small."),
    ("exactly", "the cat is small.", "The cat is small."),
    ("one_word", "It is Tokyo.", ["Tokyo"]),
    ("one_word", "Yes, it is", ["yes"]),
    ("one_word", "Kyoto", ["Tokyo"]),
    ("numbered", "Here they are:\n1. Apple\n2. Pear", 2),
    ("numbered", "1. Apple\n2. Pear\n3. Plum", 2),
    ("numbered", "1. Apple\n1. Pear", 2),
    ("numbered", "", 2),
    ("json_object", '```json\n{"name": "Anna", "age": 31}\n```', PERSON),
    ("json_object", '{"name": "Anna", "age": 31, "city": ""}', PERSON),
    ("json_object", '{"name": "Anna"}', PERSON),
    ("json_object", '["Anna", 31]', PERSON),
    ("json_object", "{name: Anna, age: 31}", PERSON),
    ("sentences", "Dogs bark.", 2),
    ("sentences", "Dogs bark. They run", 2),
    ("sentences", "Dogs bark.\n\nThey run.", 2),
    ("sentence_with", "The stream is wide.", "river"),
    ("sentence_with", "The river is wide. It is cold.", "river"),
    ("sentence_with", "the river", "river"),
]


@pytest.mark.parametrize(("check", "text", "expected"), RIGHT)
def test_right_answers(check: str, text: str, expected: Any) -> None:
    assert CHECKERS[check](text, expected)


@pytest.mark.parametrize(("check", "text", "expected"), WRONG)
def test_wrong_answers(check: str, text: str, expected: Any) -> None:
    assert not CHECKERS[check](text, expected)


def test_every_checker_has_a_right_and_a_wrong_answer() -> None:
    assert {check for check, _, _ in RIGHT} == {check for check, _, _ in WRONG} == set(CHECKERS)
