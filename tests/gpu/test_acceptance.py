"""The checks of `scripts/gpu_acceptance` as tests: python -m pytest tests/gpu -m gpu."""

from dataclasses import replace

import pytest

from scripts.acceptance.check import Check, Status
from scripts.acceptance.runner import in_a_process
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import START, ServerStands
from scripts.acceptance.table import CHECKS


@pytest.mark.gpu
@pytest.mark.timeout(START + 400)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_what_is_expected_of_a_gpu(check: Check, setting: Setting, stands: ServerStands) -> None:
    if check.stand is not None:
        setting = replace(setting, running=stands.get(check.stand, START))
    else:
        stands.end()  # it may want the whole GPU
    outcome = in_a_process(check, setting, limit=check.limit)
    if check.ends_stand:
        stands.end()
    if outcome.status is Status.SKIPPED:
        pytest.skip(outcome.reason)
    assert outcome.status is Status.PASSED, "\n".join([outcome.reason, *outcome.notes])
