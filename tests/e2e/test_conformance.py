"""Each documented behaviour, asked of our server with the starter models: tests/conformance on the shared one."""

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.case import Case, all_cases
from tests.conformance.compare import our_models
from tests.conformance.known import OURS, pending
from tests.conformance.run import Result, run
from tests.conformance.target import Target
from tests.e2e.live import CHAT, LiveServer

AT_ONCE = 4
"""The chat model answers so many in little more time than one."""


@pytest.fixture(scope="session")
def judged(server: LiveServer, request: pytest.FixtureRequest) -> Iterator[Callable[[Case], Result]]:
    """The result of a case. All cases of its file that are collected run when the first is wanted, some at once."""
    cases = [item.callspec.params["case"] for item in request.session.items if is_case(item)]  # type: ignore[attr-defined]
    results: dict[str, Result] = {}
    with Target(f"{server.url}/v1", server.key, our_models(CHAT)) as target:

        def result(case: Case) -> Result:
            if case.id not in results:
                batch = [one for one in cases if one.section == case.section]
                results.update((one.case.id, one) for one in run(target, batch, at_once=AT_ONCE))
            return results[case.id]

        yield result


def is_case(item: pytest.Item) -> bool:
    return getattr(item, "originalname", "") == test_case.__name__


def marks(case: Case) -> list[pytest.MarkDecorator]:
    """What is known to be otherwise is expected to fail, and a failure of the tests once it doesn't."""
    if case.id in OURS:
        return [pytest.mark.xfail(reason=OURS[case.id])]
    return [pytest.mark.xfail(reason="being built", strict=False)] if pending(case.id) else []


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id, marks=marks(case)) for case in all_cases()])
def test_case(server: LiveServer, judged: Callable[[Case], Result], case: Case) -> None:
    result = judged(case)
    assert result.outcome == "pass", result.reason
