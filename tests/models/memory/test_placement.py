"""On which GPUs a model goes, and what it is granted there."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.engines.base import Footprint
from server.models.memory.allotment import allotted
from server.models.memory.eviction import Candidate, How
from server.models.memory.need import Need
from server.models.memory.placement import able, elastic_share, place
from tests.models.devices import machine

GPUS = machine(100, 80, 80, 80, 80).gpus
HOST = 1000


def room(*gpus: int) -> Footprint:
    return Footprint(HOST, dict(enumerate(gpus)))


def where(
    need: Need, *rooms: int, free: Mapping[int, int] | None = None, candidates: Sequence[Candidate] = ()
) -> tuple[int, ...] | None:
    placement = place(need, GPUS[: len(rooms)], room=room(*rooms), free=free or {}, candidates=candidates)
    return None if placement is None else placement.gpus


@pytest.mark.parametrize(
    ("need", "rooms", "gpus"),
    [
        pytest.param(Need(host=5), (0, 0), (), id="none for a model of the processor"),
        pytest.param(Need(gpu=10), (80, 80), (0,), id="the lower number of two alike"),
        pytest.param(Need(gpu=10), (40, 50), (1,), id="the one with the most room"),
        pytest.param(Need(gpu=10, gpus=2), (40, 9, 80, 50), (2, 3), id="as many as it takes"),
        pytest.param(Need(gpu=40, gpus=3), (40, 39, 80, 50), (0, 2, 3), id="all that fit"),
        pytest.param(Need(gpu=40, gpus=4), (40, 39, 80, 50), None, id="too many"),
        pytest.param(Need(gpu_share=0.5), (39, 40), (1,), id="a share"),
    ],
)
def test_the_emptiest_gpus_are_taken(need: Need, rooms: tuple[int, ...], gpus: tuple[int, ...] | None) -> None:
    assert where(need, *rooms) == gpus


def test_what_other_programs_hold_counts() -> None:
    assert where(Need(gpu=10), 80, 80, free={0: 20, 1: 70}) == (1,)


def test_a_place_where_nobody_gives_way_is_preferred() -> None:
    idle = Candidate("idle", Footprint(0, {0: 70}), last_used=0)
    assert where(Need(gpu=20), 10, 30, free={0: 60, 1: 20}, candidates=[idle]) == (1,)


def test_the_cheapest_eviction_decides() -> None:
    eager = Candidate("eager", Footprint(0, {0: 50}), last_used=0, eager=True)
    lazy = Candidate("lazy", Footprint(0, {1: 60}), last_used=9)
    used = Candidate("used", Footprint(0, {2: 60}), last_used=0, leased=True)
    placement = place(Need(gpu=70), GPUS[:3], room=room(30, 20, 20), free={}, candidates=[eager, lazy, used])
    assert placement is not None
    assert placement.gpus == (1,)
    assert [(one.name, one.how) for one in placement.evictions] == [("lazy", How.STOP)]
    assert where(Need(gpu=70), 30, 20, 20, candidates=[used]) is None


def test_the_host_must_have_room_too_and_for_the_load() -> None:
    assert where(Need(host=HOST + 1, gpu=1), 80) is None
    assert where(Need(host=HOST - 5, loading=6, gpu=1), 80) is None
    placement = place(Need(host=5, loading=6, gpu=1), GPUS[:1], room=room(80), free={})
    assert placement is not None
    assert placement.holds == Footprint(11, {0: 1})


def test_able_are_those_that_the_config_allows_and_that_are_large_enough() -> None:
    gpus = machine(1, 80, 24, 80).gpus
    budget = Footprint(1, {0: 70, 1: 24, 2: 70})

    def numbers(need: Need) -> list[int]:
        return [gpu.number for gpu in able(need, gpus, budget)]

    assert numbers(Need(gpu=24)) == [0, 1, 2]
    assert numbers(Need(gpu=25)) == [0, 2]
    assert numbers(Need(gpu=71)) == []
    assert numbers(Need(gpu=20, among=(2, 1, 9))) == [1, 2]
    assert numbers(Need(gpu_share=0.9)) == [1]


# ---------------------------------------------------------------- what is granted


@pytest.mark.parametrize(
    ("free", "need", "coming", "granted"),
    [
        (70, 20, [], 70),  # alone: everything
        (70, 20, [Need(gpu=10)], 60),  # what a model to come needs stays
        (70, 20, [Need(gpu=20, elastic=True)], 35),  # two share what is left
        (20, 20, [Need(gpu=20, elastic=True)], 20),  # nothing is left
        (70, 20, [Need(host=30)], 70),  # a model of the processor takes nothing
    ],
)
def test_the_elastic_part_of_one_gpu(free: int, need: int, coming: list[Need], granted: int) -> None:
    assert elastic_share(Need(gpu=need), [0], GPUS[:1], free={0: free}, coming=coming) == granted


def test_models_to_come_go_where_most_is_left() -> None:
    free = {0: 80, 1: 80}
    twin = Need(gpu=20, elastic=True)
    assert elastic_share(twin, [0], GPUS[:2], free=free, coming=[twin]) == 80
    assert elastic_share(twin, [0], GPUS[:2], free=free, coming=[twin, twin, twin]) == 20 + 40 // 2
    bound = Need(gpu=20, elastic=True, among=(0,))
    assert elastic_share(twin, [0], GPUS[:2], free=free, coming=[bound]) == 40


def test_a_model_that_is_split_gets_as_much_of_each() -> None:
    assert elastic_share(Need(gpu=20, gpus=2), [0, 1], GPUS[:2], free={0: 80, 1: 50}, coming=[]) == 50


amounts = st.integers(0, 80)


@settings(deadline=None)
@given(
    st.builds(lambda gpu, gpus, among: Need(gpu=gpu + 1, gpus=gpus, among=among), st.integers(0, 80), st.integers(1, 4),
              st.none() | st.sets(st.integers(0, 3), min_size=1).map(tuple)),
    st.tuples(amounts, amounts, amounts, amounts),
    st.dictionaries(st.integers(0, 3), amounts),
)  # fmt: skip
def test_a_placement_fits_and_is_found_where_there_is_one(
    need: Need, rooms: tuple[int, ...], free: Mapping[int, int]
) -> None:
    gpus = able(need, GPUS, room(80, 80, 80, 80))
    placement = place(need, gpus, room=room(*rooms), free=free)
    fitting = [gpu.number for gpu in gpus if rooms[gpu.number] >= need.gpu]
    if placement is None:
        assert len(fitting) < need.gpus
        return
    assert len(set(placement.gpus)) == need.gpus
    assert set(placement.gpus) <= set(fitting)
    assert placement.gpus == tuple(sorted(placement.gpus))
    assert placement.holds == Footprint(0, dict.fromkeys(placement.gpus, need.gpu))


def test_an_engine_hears_its_cache_and_what_must_be_free() -> None:
    gpus = machine(1, 80, 40).gpus
    grant = allotted(Need(host=7, gpu=20, fixed=15, outside=2), 30, gpus)
    assert (grant.host, grant.gpu, grant.numbers, grant.kv_cache, grant.gpu_share) == (7, 30, (0, 1), 15, 0.9 * 28 / 80)
    assert allotted(Need(gpu=20), 20, gpus).kv_cache is None
    none = allotted(Need(host=7), 0, ())
    assert (none.host, none.numbers, none.gpu_share) == (7, (), None)
