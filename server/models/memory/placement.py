"""On which GPUs a model is put, and who gives way for it there. Pure: no process, clock or driver."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from server.engines.base import Footprint
from server.engines.devices.gpus import Gpu
from server.models.memory.eviction import Candidate, Eviction, choose, cost
from server.models.memory.need import Need

MOST = 200
"""Sets of GPUs that are looked at, the best first: eight GPUs have 70 sets of four, sixteen have too many."""


@dataclass(frozen=True, slots=True)
class Placement:
    """gpus: their numbers, ascending; none for a model that takes no GPU. holds: all that it will hold."""

    gpus: tuple[int, ...]
    holds: Footprint
    evictions: tuple[Eviction, ...] = ()


def able(need: Need, gpus: Collection[Gpu], budget: Footprint) -> tuple[Gpu, ...]:
    """The GPUs that the config allows and that could hold the model's part, were nobody else there."""
    return tuple(
        gpu
        for gpu in gpus
        if (need.among is None or gpu.number in need.among) and need.of_gpu(gpu.total) <= budget.on(gpu.number)
    )


def place(
    need: Need,
    gpus: Collection[Gpu],
    *,
    room: Footprint,
    free: Mapping[int, int],
    candidates: Sequence[Candidate] = (),
) -> Placement | None:
    """Where the model goes: a place where nobody gives way, else the one where that costs least; None: nowhere.

    gpus: those that are able to hold it. room: the most that it may hold, by the ledger. free: bytes free on each GPU,
    as far as known: of several places the one with the most is taken, then the lower number.
    """
    best: tuple[tuple[float, ...], Placement] | None = None
    rooms = {gpu.number: min(room.on(gpu.number), free.get(gpu.number, gpu.total)) for gpu in gpus}
    for chosen in _sets(need, gpus, rooms):
        holds = _held(need, chosen)
        numbers = tuple(sorted(gpu.number for gpu in chosen))
        short = holds.beyond(room)
        if not short:
            return Placement(numbers, holds)
        evictions = choose(short, candidates, spare_host=room.host - holds.host)
        if evictions is None:
            continue
        rank = cost(evictions, candidates)
        if best is None or rank < best[0]:
            best = rank, Placement(numbers, holds, evictions)
    return None if best is None else best[1]


def elastic_share(
    need: Need, taken: Collection[int], gpus: Collection[Gpu], *, free: Mapping[int, int], coming: Sequence[Need]
) -> int:
    """Bytes of each GPU in `taken` to allot to a model that can use more than its need.

    free: bytes that it could get of each GPU. coming: what models yet to be loaded need; each is put where most would
    be left for it. On each GPU those that can use more share alike what then remains. Never less than the need.
    Example: 40 free, it needs 10, and another that is to come and can use more needs 20: it gets 10 and half of the 10
    that remain, 15.
    """
    by_number = {gpu.number: gpu for gpu in gpus}
    left = dict(free)
    sharers = Counter(taken)
    for number in taken:
        left[number] = left.get(number, 0) - need.of_gpu(by_number[number].total)
    for one in coming:
        allowed = [gpu for gpu in gpus if one.among is None or gpu.number in one.among]
        # Beside one that is loaded it may have all that is left, beside one that is yet to load its half.
        parts = {number: room // (1 + sharers[number]) for number, room in left.items()}
        for gpu in next(_sets(one, allowed, parts), ()):
            left[gpu.number] = left.get(gpu.number, 0) - one.of_gpu(gpu.total)
            sharers[gpu.number] += one.elastic
    return min(
        need.of_gpu(by_number[number].total) + max(0, left[number]) // max(1, sharers[number]) for number in taken
    )


def _sets(need: Need, gpus: Collection[Gpu], room: Mapping[int, int]) -> Iterator[tuple[Gpu, ...]]:
    """Sets of as many GPUs as the model takes, those with the most room first."""
    if not need.on_gpu:
        yield ()
        return
    most_first = sorted(gpus, key=lambda gpu: (-room.get(gpu.number, 0), gpu.number))
    yield from islice(combinations(most_first, need.gpus), MOST)


def _held(need: Need, gpus: Collection[Gpu]) -> Footprint:
    return Footprint(need.host + need.loading, {gpu.number: need.of_gpu(gpu.total) for gpu in gpus})
