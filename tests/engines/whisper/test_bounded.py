"""What is asked of CTranslate2 at each temperature, and what faster-whisper is given back."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from server.engines.whisper.bounded import BoundedFallback, Ladder, Result
from server.engines.whisper.fallback import FIRST, LADDER, PER_SECOND, Hearing

OPTIONS = {
    "best_of": 5,
    "beam_size": 3,
    "patience": 1,
    "length_penalty": 1,
    "repetition_penalty": 1,
    "no_repeat_ngram_size": 0,
    "suppress_blank": True,
    "suppress_tokens": [-1],
    "max_initial_timestamp": 1.0,
}


def result(*samples: list[int], scores: Sequence[float] = (-0.2, -0.3), no_speech: float = 0.0) -> Any:
    return SimpleNamespace(
        sequences_ids=list(samples), scores=list(scores[: len(samples)]), no_speech_prob=no_speech, logits=[]
    )


class Library:
    """CTranslate2's Whisper, faster-whisper's model and its tokenizer in one: each window is the next of `results`."""

    max_length = 448
    time_precision = 0.02

    def __init__(self, *results: Any) -> None:
        self.model = self
        self.results = list(results)
        self.asked: list[dict[str, Any]] = []

    def generate(self, encoded: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        self.asked.append({"encoded": encoded, "prompts": prompts, **options})
        return [self.results.pop(0)]

    def decode(self, ids: Sequence[int]) -> str:
        return " " + " ".join(map(str, ids)) + " "


def compression(text: str) -> float:
    """3 for a text that says one word alone."""
    words = text.split()
    return 3.0 if len(set(words)) == 1 else 1.0


CIRCLE = result([7] * 224, scores=[-0.1])
GOOD = result([1, 2, 3], [1, 2, 3, 4])


def ask(library: Library, temperatures: list[float], **options: Any) -> tuple[Any, float, float, float]:
    fallback = BoundedFallback(library, compression)
    return fallback("encoded", [50257], library, SimpleNamespace(temperatures=temperatures, **{**OPTIONS, **options}))


def test_the_first_temperature_is_a_beam_and_the_next_are_samples() -> None:
    library = Library(CIRCLE, GOOD)
    found = ask(library, Ladder(30.0))
    always = {
        "encoded": "encoded",
        "prompts": [[50257]],
        "length_penalty": 1,
        "repetition_penalty": 1,
        "no_repeat_ngram_size": 0,
        "max_length": 448,
        "return_scores": True,
        "return_no_speech_prob": True,
        "suppress_blank": True,
        "suppress_tokens": [-1],
        "max_initial_timestamp_index": 50,
    }
    assert library.asked == [
        {**always, "beam_size": 3, "patience": 1},
        {**always, "beam_size": 1, "num_hypotheses": 5, "sampling_topk": 0, "sampling_temperature": 0.2},
    ]
    assert (found[0], *found[2:]) == (Result([[1, 2, 3]], [-0.2], 0.0), 0.2, 1.0)
    assert found[1] == pytest.approx(-0.2 * 3 / 4)


def test_a_window_that_no_temperature_helped_reports_the_last() -> None:
    """Then its text is no prompt of the next window."""
    found = ask(Library(*[CIRCLE] * 4), Ladder(3600.0))
    assert (found[0], found[2], found[3]) == (Result([[7] * 224], [-0.1], 0.0), 0.6, 3.0)


def test_of_the_samples_the_likeliest_that_does_not_go_in_circles_is_taken() -> None:
    library = Library(CIRCLE, result([7] * 9, [4, 5], [4, 5, 6], scores=[-0.1, -0.5, -0.4], no_speech=0.25))
    found = ask(library, Ladder(30.0))
    assert (found[0], *found[2:]) == (Result([[4, 5, 6]], [-0.4], 0.25), 0.2, 1.0)
    assert found[1] == pytest.approx(-0.4 * 3 / 4)


def test_a_fixed_temperature_is_heard_once() -> None:
    library = Library(CIRCLE)
    assert ask(library, [0.3])[2] == 0.3
    assert [asked["sampling_temperature"] for asked in library.asked] == [0.3]


def test_all_that_is_heard_of_a_window_spends_one_budget() -> None:
    ladder = Ladder(10.0)
    library = Library(*[CIRCLE] * 40)
    spent = []
    for _ in range(4):
        before = len(library.asked)
        ask(library, ladder)
        spent.append(len(library.asked) - before)
    tries = -(-(FIRST + 10 * PER_SECOND) // 224)
    assert spent[0] == min(len(LADDER), 1 + tries)
    assert spent[-1] == 1
    assert ladder.budget.left <= 0


def test_every_window_is_shown() -> None:
    seen: list[tuple[Sequence[Hearing], Hearing]] = []
    library = Library(CIRCLE, GOOD)
    fallback = BoundedFallback(library, compression, watch=lambda *window: seen.append(window))
    fallback("encoded", [50257], library, SimpleNamespace(temperatures=Ladder(30.0), **OPTIONS))
    [(hearings, best)] = seen
    assert [(one.temperature, one.tokens, one.whole) for one in hearings] == [(0.0, 224, False), (0.2, 4, True)]
    assert best is hearings[1]
    assert best.text == "1 2 3"
