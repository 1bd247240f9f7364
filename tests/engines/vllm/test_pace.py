"""How long steps take is learnt from those seen."""

import pytest

from server.engines.vllm.pace import Pace


def test_a_step_half_as_long_again_has_half_a_base_of_tokens() -> None:
    pace = Pace()
    for tokens in (1, 1, 32, 32, 8, 1, 200, 32, 32, 1):
        pace.saw(tokens, 0.05 + 0.002 * tokens)
    assert pace.tokens(1.5) == pytest.approx(12.5)
    assert pace.tokens(10) == pytest.approx(225)


def test_nothing_is_said_of_few_steps_or_of_one_size() -> None:
    pace = Pace()
    for _ in range(7):
        pace.saw(1, 0.05)
        assert pace.tokens(1.5) is None
    for _ in range(100):
        pace.saw(1, 0.05)
    assert pace.tokens(1.5) is None
    pace.saw(33, 0.15)
    assert pace.tokens(1.5) == pytest.approx(8, rel=0.1)


def test_steps_that_cost_nothing_a_token_have_no_length() -> None:
    pace = Pace()
    for tokens in range(20):
        pace.saw(tokens, 0.05)
    assert pace.tokens(1.5) is None


def test_a_slower_machine_is_noticed() -> None:
    pace = Pace()
    for factor in (1, 3):
        for tokens in (1, 32) * 300:
            pace.saw(tokens, 0.05 + factor * 0.002 * tokens)
    assert pace.tokens(1.5) == pytest.approx(25 / 6, rel=0.05)


def test_a_token_far_into_a_prompt_takes_longer_than_one_at_its_beginning() -> None:
    """Ten steps hardly bend a line through the last hundred, and then the prompt is read."""
    pace = Pace()
    for _ in range(100):
        pace.saw(4, 0.03)
        pace.saw(80, 0.03 + 80 * 0.0004)
    assert pace.tokens_of_a_prompt(2) == pytest.approx(pace.tokens(2) or 0, rel=0.1)
    for _ in range(10):
        pace.saw(80, 0.03 + 80 * 0.0008)
    found = pace.tokens_of_a_prompt(2)
    assert found is not None
    assert found == pytest.approx(0.03 / 0.0008, rel=0.1)
    assert found < 0.7 * (pace.tokens(2) or 0)
    for _ in range(10):  # in smaller parts now, and on to its end
        pace.saw(int(found), 0.03 + int(found) * 0.0012)
    found = pace.tokens_of_a_prompt(2)
    assert found is not None
    assert found == pytest.approx(0.03 / 0.0012, rel=0.1)
    for _ in range(20):  # steps of answers alone say nothing of it
        pace.saw(4, 0.03)
    assert pace.tokens_of_a_prompt(2) == pytest.approx(found, rel=0.2)
    for _ in range(10):  # the next prompt
        pace.saw(40, 0.03 + 40 * 0.0004)
    assert pace.tokens_of_a_prompt(2) == pytest.approx(0.03 / 0.0004, rel=0.25)


def test_one_step_that_was_held_up_makes_no_prompt_wait_for_long() -> None:
    pace = Pace()
    for _ in range(100):
        pace.saw(4, 0.03)
        pace.saw(80, 0.062)
    before = pace.tokens_of_a_prompt(2)
    pace.saw(80, 0.4)
    held_up = pace.tokens_of_a_prompt(2)
    assert before is not None
    assert held_up is not None
    assert held_up > before / 4
    for _ in range(20):
        pace.saw(80, 0.062)
    again = pace.tokens_of_a_prompt(2)
    assert again is not None
    assert again > before / 2


def test_nothing_is_said_of_a_prompt_before_there_is_a_pace() -> None:
    assert Pace().tokens_of_a_prompt(2) is None
