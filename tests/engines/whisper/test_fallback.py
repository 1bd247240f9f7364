"""Which temperature comes next, which hearing is taken, and when the ladder is left."""

from typing import Any

import pytest

from server.engines.whisper.fallback import (
    FIRST,
    LADDER,
    PER_SECOND,
    Budget,
    Hearing,
    alike,
    likeliest,
    next_temperature,
    taken,
)


def hearing(temperature: float = 0.0, **fields: Any) -> Hearing:
    """A good one, but for `fields`."""
    usual: dict[str, Any] = {
        "sample": 0,
        "text": f"What was heard at {temperature}.",
        "tokens": 100,
        "whole": True,
        "logprob": -0.3,
        "compression": 1.6,
        "no_speech": 0.1,
    }
    return Hearing(temperature=temperature, **{**usual, **fields})


def heard(*of_each: dict[str, Any]) -> list[Hearing]:
    """At the first temperatures of the ladder."""
    return [hearing(temperature, **fields) for temperature, fields in zip(LADDER, of_each, strict=False)]


def following(*of_each: dict[str, Any], seconds: float = 600.0) -> float | None:
    return next_temperature(heard(*of_each), LADDER, Budget(seconds))


CIRCLES: dict[str, Any] = {"compression": 5.0, "whole": False, "tokens": 224}
IMPROBABLE: dict[str, Any] = {"logprob": -1.1}


def test_the_first_temperature_is_always_due() -> None:
    spent = Budget(0.0)
    spent.left = 0.0
    assert next_temperature([], LADDER, spent) == 0.0
    assert next_temperature([], [0.4], spent) == 0.4


def test_a_good_hearing_is_the_last() -> None:
    assert following({}) is None
    assert following(CIRCLES, {}) is None


@pytest.mark.parametrize("wrong", [CIRCLES, IMPROBABLE])
def test_a_bad_one_is_followed_by_the_next_temperature(wrong: dict[str, Any]) -> None:
    assert following(wrong) == 0.2


def test_circles_are_followed_up_the_whole_ladder() -> None:
    assert [following(*[CIRCLES] * count) for count in range(1, 5)] == [0.2, 0.4, 0.6, None]


def test_silence_is_left_as_it_is() -> None:
    assert following({"logprob": -1.5, "no_speech": 0.7}) is None
    assert following({"logprob": -1.5, "no_speech": 0.5}) == 0.2


def test_a_fixed_temperature_is_heard_once() -> None:
    assert next_temperature([hearing(0.4, **CIRCLES)], [0.4], Budget(10.0)) is None


class TestHope:
    """The ladder is left where a further temperature would win nothing."""

    def test_what_is_improbable_is_heard_twice(self) -> None:
        assert following(IMPROBABLE) == 0.2
        assert following(IMPROBABLE, {"logprob": -1.05}) is None

    def test_circles_that_are_broken_are_the_end_though_the_text_is_improbable(self) -> None:
        assert following(CIRCLES, {"logprob": -1.8}) is None
        assert following(CIRCLES, {"logprob": -2.1}) == 0.4, "it makes no sense"
        assert following(CIRCLES, CIRCLES, {"logprob": -1.8}) is None

    def test_new_circles_leave_the_text_that_has_none(self) -> None:
        assert following(IMPROBABLE, CIRCLES) is None

    def test_a_recording_that_repeats_its_words(self) -> None:
        again = {"compression": 5.0, "text": "Say it again. Say it again."}
        assert following(again) == 0.2
        assert following(again, {**again, "text": "Say it again, say it again!"}) is None

    def test_a_text_cut_at_the_limit_of_tokens_goes_in_circles_by_the_model_s_fault(self) -> None:
        circles = {**CIRCLES, "text": "Say it again. Say it again."}
        assert following(circles, circles) == 0.4
        assert following(circles, {**circles, "whole": True}) == 0.4

    def test_other_words_are_hope(self) -> None:
        assert (
            following({"compression": 5.0, "text": "No no no."}, {"compression": 5.0, "text": "Oh yes, no no no."})
            == 0.4
        )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The dog. The dog. The dog.", "the dog, the dog, the dog, the dog", True),
        ("a b c d e f g h i j", "j i h g f e d c b a - a b", True),
        ("a b c d e f g h i j", "a b c d e f g h i j k", True),
        ("a general one carried the smaller bread", "A gentle wind carried the smell of bread.", False),
        ("a general one carried the smaller bread", "a general one carried the small bread, a general one", True),
    ],
)
def test_texts_alike_consist_of_the_same_words(one: str, other: str, same: bool) -> None:
    assert alike(one, other) is same


class TestBudget:
    def test_grows_with_the_length(self) -> None:
        assert Budget(100.0).left == FIRST + 100 * PER_SECOND
        assert Budget(100.0, first=False).left == 100 * PER_SECOND

    def test_only_fallback_spends_it(self) -> None:
        budget = Budget(0.0)
        budget.spend(hearing(0.0, tokens=224))
        assert budget.left == FIRST
        budget.spend(hearing(0.2, tokens=224))
        assert budget.left == FIRST - 224

    @pytest.mark.parametrize(("seconds", "first", "again"), [(30.0, True, 4), (30.0, False, 2), (25.0, False, 1)])
    def test_how_often_a_window_may_be_heard_again_to_the_limit(self, seconds: float, first: bool, again: int) -> None:
        """Which is 224 tokens. The ladder ends the first one's earlier."""
        budget = Budget(seconds, first=first)
        heard_at = []
        while (temperature := next_temperature(heard(CIRCLES), LADDER, budget)) is not None:
            heard_at.append(temperature)
            budget.spend(hearing(0.2, **CIRCLES))
        assert heard_at == [0.2] * again

    def test_once_spent_each_window_is_heard_once(self) -> None:
        budget = Budget(0.0)
        while budget.left > 0:
            budget.spend(hearing(0.2, **CIRCLES))
        assert next_temperature([], LADDER, budget) == 0.0
        assert next_temperature(heard(CIRCLES), LADDER, budget) is None


class TestTaken:
    def test_the_good_one(self) -> None:
        found = heard(CIRCLES, {"logprob": -0.9})
        assert taken(found) is found[1]

    def test_nonsense_is_not_taken_instead_of_circles(self) -> None:
        """A recording that repeats its words: at 0.6 one sample of five said "until we can"."""
        found = heard({**CIRCLES, "logprob": -0.2}, {**CIRCLES, "logprob": -0.1}, {"logprob": -3.3})
        assert taken(found) is found[1]

    def test_the_most_probable_that_does_not_go_in_circles(self) -> None:
        found = heard({**CIRCLES, "logprob": -0.1}, {"logprob": -1.6}, {"logprob": -1.2}, {"logprob": -1.9})
        assert taken(found) is found[2]

    def test_of_several_samples_a_circle_is_not_the_likeliest(self) -> None:
        samples = [hearing(0.2, sample=i, **f) for i, f in enumerate([CIRCLES, {"logprob": -1.2}, {"logprob": -1.1}])]
        assert likeliest(samples) is samples[2]
        assert likeliest(samples[:1]) is samples[0]

    def test_the_most_probable_where_all_go_in_circles(self) -> None:
        found = heard({**CIRCLES, "logprob": -0.3}, {**CIRCLES, "logprob": -0.2})
        assert taken(found) is found[1]
