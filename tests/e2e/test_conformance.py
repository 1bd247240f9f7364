"""Each documented behaviour, asked of our server with the starter models: tests/conformance on the shared one."""

from collections.abc import Iterator

import pytest

from tests.conformance.case import Case, all_cases
from tests.conformance.compare import our_models
from tests.conformance.known import OURS, pending
from tests.conformance.run import judge
from tests.conformance.target import Target
from tests.e2e.live import CHAT, LiveServer


@pytest.fixture(scope="session")
def target(server: LiveServer) -> Iterator[Target]:
    with Target(f"{server.url}/v1", server.key, our_models(CHAT)) as opened:
        yield opened


def marks(case: Case) -> list[pytest.MarkDecorator]:
    """What is known to be otherwise is expected to fail, and a failure of the tests once it doesn't."""
    if case.id in OURS:
        return [pytest.mark.xfail(reason=OURS[case.id])]
    return [pytest.mark.xfail(reason="being built", strict=False)] if pending(case.id) else []


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id, marks=marks(case)) for case in all_cases()])
def test_case(server: LiveServer, target: Target, case: Case) -> None:
    if lacking := [kind for kind in case.needs if kind not in target.models]:
        pytest.skip(f"no {lacking[0]} model among the starter models")
    result = judge(target, case)
    assert result.outcome == "pass", result.reason
