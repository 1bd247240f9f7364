"""What counts as growth in a soak."""

import pytest

from scripts.attacks.soak import Look, growths

MIB = 2**20
SECONDS = 1000.0


def looks(*, memory: float = 0.0, descriptors: float = 0.0, tasks: float = 0.0) -> list[Look]:
    """A hundred looks; each figure grows by so much from the first to the last, and leaps in the warm-up."""
    found = []
    for number in range(100):
        share, warm = number / 99, min(1.0, number / 10)
        held = int((100 + 50 * warm + memory * share) * MIB)
        found.append(
            Look(10.0 * number, {"front end": held}, round(20 + descriptors * share), 9, round(5 + tasks * share))
        )
    return found


def flat(**growth: float) -> dict[str, bool]:
    return {one.what: one.flat for one in growths(looks(**growth), SECONDS)}


def test_the_warm_up_is_no_growth() -> None:
    assert flat() == {"bytes of front end": True, "descriptors": True, "threads": True, "tasks": True}


@pytest.mark.parametrize(
    ("growth", "what"),
    [({"memory": 20.0}, "bytes of front end"), ({"descriptors": 10.0}, "descriptors"), ({"tasks": 10.0}, "tasks")],
)
def test_what_grows_is_told_and_nothing_else(growth: dict[str, float], what: str) -> None:
    assert [name for name, is_flat in flat(**growth).items() if not is_flat] == [what]


def test_a_process_that_came_later_is_growth() -> None:
    """A worker that was replaced and not ended, say."""
    seen = [
        Look(look.at, look.memory | ({"worker piper": 100 * MIB} if look.at > 800 else {}), 20, 9, 5)
        for look in looks()
    ]
    assert [one.what for one in growths(seen, SECONDS) if not one.flat] == ["bytes of worker piper"]
