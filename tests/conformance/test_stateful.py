"""The cases of responses, conversations, files and batches against the application over fake engines.

What the starter models can't show is shown here: a picture that is seen, and an answer that is a call.
"""

from collections.abc import Iterator

import pytest

from server.core import Task
from tests.conformance.case import Case, all_cases
from tests.conformance.loopback import Fakes, loopback
from tests.conformance.run import judge
from tests.conformance.target import Target

FILES = ("responses", "responses_stream", "responses_kept", "conversations", "open_responses", "files", "batches")
MODELS = {
    "chat": "everything",
    "vision": "everything",
    "mode": "everything",
    "embedding": "everything",
    "image": "everything",
}
OTHERWISE = {
    "responses.json_schema": "It obeys no schema.",
}
"""By the case's id: why fake engines can't pass it."""

CASES = [case for case in all_cases() if case.id.partition(".")[0] in FILES]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    call = {"name": "describe", "arguments": {"country": "Japan", "large": True}}
    options = {Task.CHAT: {"text": "The capital of Japan is Tokyo, " + "as everybody knows, " * 10, "call": call}}
    with loopback(Fakes(options)) as (url, key), Target(f"{url}/v1", key, MODELS) as asked:
        yield asked


def test_what_fakes_can_not_pass_is_a_case() -> None:
    assert set(OTHERWISE) <= {case.id for case in CASES}


@pytest.mark.parametrize("case", [case for case in CASES if case.id not in OTHERWISE], ids=lambda case: case.id)
def test_case(target: Target, case: Case) -> None:
    result = judge(target, case)
    assert result.outcome == "pass", result.reason
