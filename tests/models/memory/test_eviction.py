"""Who gives way: a table of decisions, without processes or clocks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.engines.base import Footprint
from server.models.memory.eviction import Candidate, Eviction, How, choose, cost


def both(host: int, gpu: int = 0) -> Footprint:
    return Footprint(host, {0: gpu})


def one(
    name: str, host: int = 0, gpu: int = 0, used: float = 0, moves: int = 0, stays: int = 0, **facts: bool
) -> Candidate:
    """moves: bytes that go to the host when it sleeps; stays: bytes that stay on the GPU."""
    return Candidate(name, both(host, gpu), used, asleep=both(host + moves, stays), **facts)


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
            both(0, 5), [one("a", 9, used=1), one("b", 1, 5, used=2)], ["stop b"], id="host doesn't help the GPU"
        ),
        pytest.param(both(0, 5), [one("a", 2, 5, can_sleep=True)], ["sleep a"], id="sleep where only the GPU is short"),
        pytest.param(both(1, 5), [one("a", 2, 5, can_sleep=True)], ["stop a"], id="stop where the host is short"),
        pytest.param(
            both(3, 5),
            [one("a", 2, 5, used=1, can_sleep=True), one("b", 4, 0, used=2)],
            ["stop b", "sleep a"],
            id="sleep where another frees the host",
        ),
        pytest.param(Footprint(2), [one("a", 2, 0, can_sleep=False)], ["stop a"], id="a sleeping one is stopped"),
    ],
)
def test_choice(short: Footprint, candidates: list[Candidate], expected: list[str] | None) -> None:
    assert names(choose(short, candidates)) == expected


@pytest.mark.parametrize(
    ("spare", "expected"), [(0, "stop a"), (7, "stop a"), (8, "sleep a")], ids=["none", "too little", "enough"]
)
def test_a_model_sleeps_only_where_the_host_has_room_for_its_weights(spare: int, expected: str) -> None:
    candidates = [one("a", 2, 10, moves=8, can_sleep=True)]
    assert names(choose(both(0, 5), candidates, spare_host=spare)) == [expected]


def test_a_model_stops_where_what_stays_of_it_is_in_the_way() -> None:
    candidates = [one("a", 2, 10, stays=1, can_sleep=True)]
    assert names(choose(both(0, 9), candidates)) == ["sleep a"]
    assert names(choose(both(0, 10), candidates)) == ["stop a"]


def test_one_that_stops_makes_room_for_anothers_weights() -> None:
    candidates = [one("a", 8, 4, used=1), one("b", 1, 4, used=2, moves=8, can_sleep=True)]
    assert names(choose(both(0, 8), candidates)) == ["stop a", "sleep b"]


def test_only_those_on_the_gpu_that_is_short_go() -> None:
    on_one = Candidate("one", Footprint(1, {1: 9}), last_used=1)
    on_two = Candidate("two", Footprint(1, {2: 9}), last_used=0)
    assert names(choose(Footprint(0, {1: 5}), [on_two, on_one])) == ["stop one"]
    assert names(choose(Footprint(0, {1: 5, 2: 5}), [on_two, on_one])) == ["stop two", "stop one"]
    assert choose(Footprint(0, {3: 1}), [on_two, on_one]) is None


def test_an_eager_model_costs_more_than_any_lazy_ones() -> None:
    candidates = [one("a", eager=True), one("b", used=5), one("c", used=9)]
    stop = {name: Eviction(name, How.STOP) for name in "abc"}
    assert cost([stop["b"]], candidates) < cost([stop["c"]], candidates) < cost([stop["b"], stop["c"]], candidates)
    assert cost([stop["b"], stop["c"]], candidates) < cost([stop["a"]], candidates)


amounts = st.integers(0, 20)
footprints = st.builds(lambda host, a, b: Footprint(host, {0: a, 1: b}), amounts, amounts, amounts)


@st.composite
def loaded(draw: st.DrawFn) -> list[Candidate]:
    found = []
    for number in range(draw(st.integers(0, 5))):
        held, stays = draw(footprints), draw(footprints)
        asleep = Footprint(held.host + draw(amounts), {gpu: min(held.on(gpu), stays.on(gpu)) for gpu in (0, 1)})
        found.append(
            Candidate(
                f"m{number}", held, draw(amounts), draw(st.booleans()), draw(st.booleans()), draw(st.booleans()), asleep
            )
        )
    return found


@settings(deadline=None)
@given(footprints, loaded(), amounts)
def test_what_is_chosen_is_enough_and_nobody_in_use(short: Footprint, candidates: list[Candidate], spare: int) -> None:
    by_name = {one.name: one for one in candidates}
    evictions = choose(short, candidates, spare_host=spare)
    idle = sum((one.held for one in candidates if not one.leased), Footprint())
    if evictions is None:
        assert short.beyond(idle)
        return
    assert not any(by_name[one.name].leased for one in evictions)
    gone = sum((by_name[one.name].held for one in evictions), Footprint())
    back = sum((by_name[one.name].asleep for one in evictions if one.how is How.SLEEP), Footprint())
    assert not (short + back).beyond(gone + Footprint(spare))
