"""What the `quality:` part of a config refuses, in words."""

import pytest
from pydantic import ValidationError

from server.models.config.quality import Auto, RefinedMode


def test_no_more_drafts_can_be_enough_than_are_begun() -> None:
    assert RefinedMode(drafts=5, enough=5).enough == 5
    with pytest.raises(ValidationError, match="enough is 6, but there are 5 drafts"):
        RefinedMode(drafts=5, enough=6)


@pytest.mark.parametrize("sure", [0.4, 1.1])
def test_how_sure_a_majority_must_be_is_a_probability_above_a_half(sure: float) -> None:
    with pytest.raises(ValidationError, match="sure"):
        RefinedMode(sure=sure)


def test_what_auto_takes_high_for_is_one_of_three_causes() -> None:
    assert Auto().high_for == ("code", "arithmetic", "length")
    with pytest.raises(ValidationError, match="high_for"):
        Auto.model_validate({"high_for": ["poems"]})
