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
