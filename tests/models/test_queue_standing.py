"""What an account has had, and what of it counts: by class, by weight, and by what its requests really took."""

from server.core.caller import Priority
from server.models.queue import FairQueue
from tests.models.test_queue import come, drain

HIGH = Priority.HIGH


def test_a_better_class_at_work_does_not_make_a_flood_equal_to_a_newcomer() -> None:
    """Each class has its own order: what a high key has had says nothing about who had least in the normal class."""
    queue = FairQueue(1, 1000)
    running = [come(queue, "boss", 1000, priority=HIGH)]
    for _ in range(20):
        come(queue, "flood", 100)
    come(queue, "boss", 1000, priority=HIGH)
    assert drain(queue, running, 3) == ["boss", "flood", "flood"]
    come(queue, "boss", 1000, priority=HIGH)
    come(queue, "polite", 100)
    assert drain(queue, running, 2) == ["boss", "polite"]


def test_a_weight_that_was_lowered_no_longer_takes_from_the_others() -> None:
    queue = FairQueue(32, 1000)
    heavy = come(queue, "heavy", weight=100)
    light = come(queue, "heavy", weight=1)
    queue.leave(heavy)
    queue.leave(come(queue, "other"))
    assert sum(come(queue, "flood").running for _ in range(40)) == 28  # 3 stay free
    queue.leave(light)


def test_who_took_more_than_was_claimed_waits_longer_for_the_next_turn() -> None:
    queue = FairQueue(1, 1000)
    running = [come(queue, "unlimited", 100)]
    for _ in range(5):
        come(queue, "unlimited", 100)
    for _ in range(20):
        come(queue, "other", 100)
    queue.took(running[0].claim, 1000)
    assert drain(queue, running, 11) == ["other"] * 10 + ["unlimited"]


def test_who_took_less_than_was_claimed_has_it_back() -> None:
    queue = FairQueue(1, 1000)
    running = [come(queue, "careful", 1000)]
    for _ in range(5):
        come(queue, "careful", 1000)
    for _ in range(9):
        come(queue, "other", 1000)
    begun = []
    for _ in range(10):
        queue.took(running[0].claim, 10 if running[0].claim.account_id == "careful" else 1000)
        begun += drain(queue, running, 1)
    assert begun == ["other", *["careful"] * 5, *["other"] * 4]
    queue.leave(running.pop())


def test_a_limit_beyond_the_context_counts_as_the_context() -> None:
    """Else one such request claims all of the memory, and two of an account drown all sizes: 1e27 + 100 is 1e27."""
    queue = FairQueue(8, 1000)
    waited = [come(queue, name, 1e27, ready=False, places=places) for name, places in (("a", 1), ("b", 2))]
    queue.measure(8, 1000.0, 100.0)
    while queue.begin_next():
        pass
    assert [entry.size for entry in waited] == [100, 200]
    assert come(queue, "c", 1e27).size == 100
    assert queue.held == 400
    assert come(queue, "usual", 0).size <= 100


def test_sizes_beyond_the_context_leave_the_order_of_others() -> None:
    queue = FairQueue(1, 1000)
    queue.measure(1, 1000.0, 100.0)
    running = [come(queue, "rude", 1e27)]
    come(queue, "rude", 1e27)
    queue.took(running[0].claim, 50)
    assert drain(queue, running, 1) == ["rude"]
    for _ in range(5):
        come(queue, "flood", 10)
    assert drain(queue, running, 2) == ["flood", "flood"]
    come(queue, "polite", 10)
    assert drain(queue, running, 1) == ["polite"]
