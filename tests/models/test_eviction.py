"""Who gives way: a table of decisions, without processes or clocks."""

import pytest

from server.engines.base import Footprint
from server.models.eviction import Candidate, Eviction, choose


def one(name: str, host: int = 0, gpu: int = 0, used: float = 0, **facts: bool) -> Candidate:
    return Candidate(name, Footprint(host, gpu), used, **facts)


def names(evictions: tuple[Eviction, ...] | None) -> list[str] | None:
    return None if evictions is None else [f"{one.how} {one.name}" for one in evictions]


@pytest.mark.parametrize(
    ("short", "candidates", "expected"),
    [
        pytest.param(Footprint(), [one("a", 5)], [], id="nothing is short"),
        pytest.param(Footprint(5), [], None, id="nobody is there"),
        pytest.param(Footprint(5), [one("a", 5, used=2), one("b", 5, used=1)], ["stop b"], id="least recently used"),
        pytest.param(Footprint(5), [one("a", 5, leased=True), one("b", 5, used=9)], ["stop b"], id="never a leased"),
        pytest.param(Footprint(5), [one("a", 9, leased=True)], None, id="only a leased one"),
        pytest.param(
            Footprint(5), [one("a", 5, used=1, eager=True), one("b", 5, used=9)], ["stop b"], id="eager ones last"
        ),
        pytest.param(
            Footprint(8),
            [one("a", 5, used=1, eager=True), one("b", 5, used=9)],
            ["stop b", "stop a"],
            id="but they go",
        ),
        pytest.param(Footprint(9), [one("a", 5), one("b", 3)], None, id="all together are too little"),
        pytest.param(
            Footprint(8), [one("a", 2, used=1), one("b", 9, used=2)], ["stop b"], id="a small one is spared by a big"
        ),
        pytest.param(
            Footprint(0, 5), [one("a", 9, used=1), one("b", 1, 5, used=2)], ["stop b"], id="host doesn't help the GPU"
        ),
        pytest.param(
            Footprint(0, 5), [one("a", 2, 5, can_sleep=True)], ["sleep a"], id="sleep where only the GPU is short"
        ),
        pytest.param(Footprint(1, 5), [one("a", 2, 5, can_sleep=True)], ["stop a"], id="stop where the host is short"),
        pytest.param(
            Footprint(3, 5),
            [one("a", 2, 5, used=1, can_sleep=True), one("b", 4, 0, used=2)],
            ["sleep a", "stop b"],
            id="sleep where another frees the host",
        ),
        pytest.param(Footprint(2), [one("a", 2, 0, can_sleep=False)], ["stop a"], id="a sleeping one is stopped"),
    ],
)
def test_choice(short: Footprint, candidates: list[Candidate], expected: list[str] | None) -> None:
    assert names(choose(short, candidates)) == expected
