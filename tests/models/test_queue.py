"""The fair queue's decisions: shares, order, bounds, and that nobody starves. No task and no clock is needed."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core import Claim
from server.core.caller import Priority
from server.models.queue import MOST_REMEMBERED, FairQueue
from server.models.queue_decisions import PASSED_OVER
from server.models.queue_standing import FULL, LATE, Entry, Refusal

BACKGROUND, NORMAL, HIGH = Priority


def come(queue: FairQueue, account: str, size: float = 10, *, ready: bool = True, **claim: object) -> Entry:
    entry = enter(queue, account, size, ready=ready, **claim)
    assert isinstance(entry, Entry), entry
    return entry


def enter(
    queue: FairQueue,
    account: str,
    size: float = 10,
    *,
    ready: bool = True,
    patience: float = 60,
    rate: float | None = None,
    **claim: object,
) -> Entry | Refusal:
    made = Claim(account, size=size, **claim)  # type: ignore[arg-type]
    return queue.enter(made, 0.0, ready=ready, patience=patience, rate=rate)


def drain(queue: FairQueue, running: list[Entry], turns: int) -> list[str]:
    """Whose requests begin, when the one that is longest at work ends, again and again."""
    begun = []
    for _ in range(turns):
        queue.leave(running.pop(0))
        while (entry := queue.begin_next()) is not None:
            begun.append(entry.claim.account_id)
            running.append(entry)
    return begun


# ---------------------------------------------------------------- places


def test_what_fits_begins_at_once_and_the_rest_waits() -> None:
    queue = FairQueue(2, 10)
    first, second, third = (come(queue, "a") for _ in range(3))
    assert (first.running, second.running, third.running, queue.waiting) == (True, True, False, 1)
    queue.leave(first)
    assert queue.begin_next() is third
    assert queue.begin_next() is None


@pytest.mark.parametrize(("places", "alone"), [(1, 1), (2, 2), (4, 4), (8, 7), (16, 14), (32, 28), (256, 224)])
def test_an_account_alone_leaves_an_eighth_to_newcomers(places: int, alone: int) -> None:
    queue = FairQueue(places, 10_000)
    flood = [come(queue, "flood") for _ in range(2 * places)]
    assert sum(entry.running for entry in flood) == alone
    newcomer = come(queue, "newcomer")
    assert newcomer.running is (alone < places)
    assert queue.taken <= places


def test_a_server_that_knows_one_account_only_gives_it_all_places() -> None:
    queue = FairQueue(16, 100, reserve=False)
    assert sum(come(queue, "anyone").running for _ in range(40)) == 16


def test_a_request_takes_as_many_places_as_it_makes_answers_at_once() -> None:
    queue = FairQueue(16, 100)
    assert come(queue, "a", places=5).places == 5
    five = come(queue, "b", places=5)
    waits = come(queue, "c", places=7)
    assert (queue.taken, waits.running) == (10, False)
    queue.leave(five)
    assert queue.begin_next() is waits
    assert queue.taken == 12


def test_a_request_for_more_places_than_there_are_can_begin() -> None:
    queue = FairQueue(16, 100)
    assert come(queue, "a", places=128).places == 14
    queue = FairQueue(1, 100)
    assert come(queue, "a", places=8).places == 1


def test_memory_bounds_what_is_at_work_where_it_is_shorter_than_places() -> None:
    queue = FairQueue(256, 1000, room=1000)
    flood = [come(queue, "flood", 100) for _ in range(20)]
    assert sum(entry.running for entry in flood) == 8  # 800 of 1,000: a ninth would leave less than an eighth
    assert come(queue, "newcomer", 100).running
    assert not come(queue, "third", 101).running  # 100 are left
    assert come(queue, "fourth", 100).running


def test_one_request_larger_than_the_memory_can_begin_alone() -> None:
    queue = FairQueue(8, 10, room=100)
    huge = come(queue, "a", 1000)
    assert huge.running
    assert not come(queue, "b", 1000).running
    queue.leave(huge)
    assert queue.begin_next() is not None


# ---------------------------------------------------------------- turns


def test_a_newcomer_is_next_before_all_that_wait() -> None:
    queue = FairQueue(1, 100)
    running = [come(queue, "flood", 1000)]
    for _ in range(20):
        come(queue, "flood", 1000)
    come(queue, "polite", 10)
    assert drain(queue, running, 2) == ["polite", "flood"]


def test_small_and_large_requests_share_by_their_size() -> None:
    queue = FairQueue(1, 1000)
    running = [come(queue, "other")]
    for _ in range(100):
        come(queue, "large", 400)
        come(queue, "small", 100)
    begun = Counter(drain(queue, running, 50))
    assert begun == {"large": 10, "small": 40}


def test_shares_follow_weights_in_turns_and_in_places() -> None:
    queue = FairQueue(1, 1000)
    running = [come(queue, "other")]
    for _ in range(100):
        come(queue, "heavy", weight=3)
        come(queue, "light", weight=1)
    assert Counter(drain(queue, running, 40)) == {"heavy": 30, "light": 10}
    queue = FairQueue(115, 1000)
    both = [come(queue, name, weight=weight) for _ in range(200) for name, weight in (("heavy", 2), ("light", 1))]
    places = Counter(entry.claim.account_id for entry in drained(queue, both))
    assert places["heavy"] / places["light"] == pytest.approx(2, rel=0.1)


def drained(queue: FairQueue, entries: list[Entry], turns: int = 400) -> list[Entry]:
    """Who is at work, after as many have ended one by one and been replaced by the same account's next."""
    running = [entry for entry in entries if entry.running]
    for _ in range(turns):
        done = running.pop(0)
        queue.leave(done)
        come(queue, done.claim.account_id, weight=done.claim.weight)
        while (entry := queue.begin_next()) is not None:
            running.append(entry)
    return [entry for entry in running if entry.running]


def test_a_pause_does_not_shed_what_an_account_has_had() -> None:
    queue = FairQueue(1, 100)
    running = [come(queue, "greedy", 1000)]
    come(queue, "other", 10)
    assert drain(queue, running, 1) == ["other"]  # nothing of greedy's is there now
    come(queue, "greedy", 1000)
    for _ in range(5):
        come(queue, "other", 10)
    assert drain(queue, running, 5) == ["other"] * 5


def test_classes_are_strict_and_yet_nobody_starves() -> None:
    queue = FairQueue(1, 1000)
    running = [come(queue, "x")]
    for _ in range(200):
        come(queue, "batch", priority=BACKGROUND)
        come(queue, "chat")
    for _ in range(3):
        come(queue, "boss", priority=HIGH)
    begun = drain(queue, running, 3 + 100)
    assert begun[:3] == ["boss"] * 3
    # A seventeenth; the boss's three count as well.
    assert [place for place, name in enumerate(begun) if name == "batch"] == [16, 33, 50, 67, 84, 101]


def test_a_background_flood_is_not_seen_by_the_bounds_of_better_classes() -> None:
    queue = FairQueue(1, 8)
    come(queue, "batch", priority=BACKGROUND)
    for _ in range(7):
        come(queue, "batch", priority=BACKGROUND)
    assert enter(queue, "batch", priority=BACKGROUND) == Refusal(FULL, own=True, again=None)
    for _ in range(7):
        come(queue, "batch")  # its own interactive requests
    come(queue, "other")
    assert queue.waiting == 15


def test_an_idle_place_goes_to_batches() -> None:
    queue = FairQueue(2, 8)
    assert come(queue, "chat").running
    assert come(queue, "batch", priority=BACKGROUND).running


def test_a_batch_leaves_half_to_those_who_may_come() -> None:
    queue = FairQueue(32, 1000)
    batch = [come(queue, f"batch-{number % 3}", priority=BACKGROUND) for number in range(100)]
    assert sum(entry.running for entry in batch) == 16
    chats = [come(queue, f"chat-{number}") for number in range(20)]
    assert sum(entry.running for entry in chats) == 16
    memory = FairQueue(32, 1000, room=100)
    assert sum(come(memory, "batch", 10, priority=BACKGROUND).running for _ in range(20)) == 5


def test_a_wide_batch_request_begins_beside_others() -> None:
    queue = FairQueue(32, 1000)
    come(queue, "chat")
    assert come(queue, "batch", places=28, priority=BACKGROUND).running


def test_a_request_that_is_too_large_for_now_is_overtaken_but_not_for_ever() -> None:
    queue = FairQueue(8, 1000)
    running = [come(queue, f"small-{number}") for number in range(8)]
    large = come(queue, "large", 10, places=6)
    overtook = 0
    while not large.running:
        come(queue, f"newcomer-{overtook}")
        begun = drain(queue, running, 1)
        overtook += len([name for name in begun if name != "large"])
        assert overtook <= PASSED_OVER
    assert overtook == PASSED_OVER


def test_ranks_tell_the_engine_who_has_much_already() -> None:
    queue = FairQueue(16, 100)
    assert [come(queue, "a").rank for _ in range(3)] == [0, 1, 2]
    assert come(queue, "b").rank == 0
    assert come(queue, "c", priority=BACKGROUND).rank > 100
    assert come(queue, "d", priority=HIGH).rank < -100


# ---------------------------------------------------------------- an engine whose background yields


def yielding(places: int, longest: int = 1000, room: float = math.inf, *, reserve: bool = True) -> FairQueue:
    queue = FairQueue(places, longest, reserve=reserve)
    queue.measure(places, room, math.inf, yields=True)
    return queue


def test_a_batch_has_all_places_of_an_engine_that_yields_and_chats_have_them_too() -> None:
    queue = yielding(32)
    batch = [come(queue, "batch", priority=BACKGROUND) for _ in range(100)]
    assert sum(entry.running for entry in batch) == 40  # and a quarter more, that wait in the engine
    chats = [come(queue, f"chat-{number % 4}") for number in range(40)]
    assert sum(entry.running for entry in chats) == 31  # four accounts leave a place to a fifth
    assert come(queue, "fifth").running
    assert queue.waiting == 60 + 9


def test_a_batch_does_not_count_against_its_own_accounts_chats() -> None:
    queue = yielding(8)
    for _ in range(20):
        come(queue, "a", priority=BACKGROUND)
    chats = [come(queue, "a") for _ in range(8)]
    assert [entry.running for entry in chats] == [True] * 7 + [False]
    assert [entry.rank for entry in chats[:7]] == list(range(7))


def test_a_chat_begins_in_memory_that_a_batch_holds() -> None:
    queue = yielding(32, room=1000)
    batch = [come(queue, "batch", 100, priority=BACKGROUND) for _ in range(50)]
    assert sum(entry.running for entry in batch) == 40  # most answers are shorter than their limit
    chats = [come(queue, f"chat-{number}", 300) for number in range(4)]
    assert [chat.running for chat in chats] == [True] * 3 + [False]


def test_a_chat_that_waits_for_room_holds_no_batch_up_and_a_batch_no_chat() -> None:
    queue = yielding(4)
    wide = come(queue, "wide-batch", places=3, priority=BACKGROUND)
    come(queue, "batch", priority=BACKGROUND)
    large = come(queue, "second", places=3, priority=BACKGROUND)
    for number in range(2 * PASSED_OVER):
        chat = come(queue, f"chat-{number}")
        assert chat.running
        queue.leave(chat)
        assert queue.begin_next() is None
    assert (large.running, large.passed) == (False, 0)
    queue.leave(wide)
    assert queue.begin_next() is large


def test_several_batches_share_an_engine_that_yields() -> None:
    queue = yielding(8)
    running = [come(queue, "first", priority=BACKGROUND) for _ in range(10)]
    for _ in range(100):
        come(queue, "first", priority=BACKGROUND)
        come(queue, "second", priority=BACKGROUND)
    assert drain(queue, running, 4)[0] == "second"
    begun = Counter(drain(queue, running, 100))
    assert begun["first"] == pytest.approx(50, abs=6)


def test_a_batch_makes_an_engine_that_yields_no_busier() -> None:
    queue = yielding(4)
    for _ in range(20):
        come(queue, "batch", priority=BACKGROUND)
    assert queue.load == 0
    come(queue, "chat")
    assert queue.load == 0.25


# ---------------------------------------------------------------- bounds


def test_the_last_places_to_wait_are_a_newcomers() -> None:
    queue = FairQueue(1, 16)
    come(queue, "flood")
    waits = [enter(queue, "flood") for _ in range(20)]
    assert sum(isinstance(one, Entry) for one in waits) == 14
    assert waits[-1] == Refusal(FULL, own=True, again=None)
    assert isinstance(enter(queue, "newcomer"), Entry)
    assert isinstance(enter(queue, "another"), Entry)
    assert enter(queue, "late") == Refusal(FULL, own=False, again=None)
    assert queue.waiting == 16


def test_a_full_queue_of_many_accounts_is_nobodys_own_fault() -> None:
    queue = FairQueue(1, 4)
    for name in "abcde":
        come(queue, name)
    assert enter(queue, "b") == Refusal(FULL, own=False, again=None)
    without = FairQueue(1, 2, reserve=False)
    for _ in range(3):
        come(without, "anyone")
    assert enter(without, "anyone", rate=4.0) == Refusal(FULL, own=False, again=20 / 8 / 4)


def test_who_cannot_be_served_in_time_is_told_at_once() -> None:
    queue = FairQueue(1, 1000)
    come(queue, "flood", 100)
    for _ in range(60):
        assert isinstance(enter(queue, "flood", 100, rate=100.0), Entry)
    come(queue, "flood", 100)  # 61 seconds of work wait now
    assert enter(queue, "flood", 100, rate=100.0) == Refusal(LATE, own=True, again=pytest.approx(61 / 8))
    assert isinstance(enter(queue, "newcomer", 100, rate=100.0), Entry)  # it waits for its own share only
    assert isinstance(enter(queue, "boss", 100, rate=100.0, priority=HIGH), Entry)


def test_too_much_work_of_everybody_is_no_fault_of_the_newcomer() -> None:
    queue = FairQueue(1, 1000)
    for number in range(62):
        come(queue, f"account-{number}", 100)
    assert enter(queue, "newcomer", 100, rate=100.0) == Refusal(LATE, own=False, again=pytest.approx(61 / 8))
    assert isinstance(enter(queue, "short", 10, rate=100.0), Entry)  # the others get 10 each before it


def test_an_unknown_size_counts_as_a_usual_one() -> None:
    queue = FairQueue(4, 10)
    for _ in range(100):
        queue.leave(come(queue, "a", 500))
    assert come(queue, "a", 0).size == pytest.approx(500, rel=0.01)


def test_nothing_is_kept_of_accounts_that_are_gone() -> None:
    queue = FairQueue(2, 4)
    for number in range(1000):
        queue.leave(come(queue, f"account-{number}"))
    assert queue.busy is False
    assert not queue._accounts
    stays = come(queue, "stays", 1e9)
    for number in range(1000):
        queue.leave(come(queue, f"account-{number}"))
    assert len(queue._accounts) <= MOST_REMEMBERED + 2 + 1
    queue.leave(stays)
    assert not queue._accounts


# ---------------------------------------------------------------- whatever comes

CLAIMS = st.builds(
    Claim,
    st.sampled_from("abcd"),
    st.sampled_from(list(Priority)),
    st.floats(0, 100),
    st.integers(1, 4),
    st.integers(1, 12),
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 20), st.integers(1, 6), st.sampled_from([math.inf, 50.0, 150.0]), st.booleans(),
    st.booleans(), st.lists(st.one_of(CLAIMS, st.integers(0, 30)), max_size=60),
)  # fmt: skip
def test_bounds_hold_and_everyone_has_a_turn(
    places: int, longest: int, room: float, reserve: bool, yields: bool, steps: list[Claim | int]
) -> None:
    queue = FairQueue(places, longest, room=room, reserve=reserve)
    queue.measure(places, room, math.inf, yields=yields)
    here: list[Entry] = []
    begun: dict[tuple[str, Priority], list[int]] = {}

    def check() -> None:
        running = [entry for entry in here if entry.running]
        below = [entry for entry in running if entry.priority is BACKGROUND]
        assert queue.taken == sum(entry.places for entry in running)
        assert queue.taken_below == sum(entry.places for entry in below)
        assert queue.held == pytest.approx(sum(entry.size for entry in running))
        assert queue.held_below == pytest.approx(sum(entry.size for entry in below))
        if yields:
            assert queue.taken - queue.taken_below <= places
            assert queue.taken_below <= places + places // 4
            assert queue.held - queue.held_below <= room * (1 + 1e-9)
        else:
            assert queue.taken <= places
            assert queue.held <= room * (1 + 1e-9)
        assert queue.waiting == len(here) - len(running)
        assert all(count <= longest for count in queue.counts.values())

    def note(entry: Entry) -> None:
        begun.setdefault((entry.claim.account_id, entry.priority), []).append(entry.number)

    def pump() -> None:
        while (entry := queue.begin_next()) is not None:
            note(entry)
            check()

    for step in steps:
        if isinstance(step, int):
            if here:
                queue.leave(here.pop(step % len(here)))
                pump()
        else:
            found = queue.enter(step, 0.0, ready=True, patience=60, rate=None)
            if isinstance(found, Entry):
                here.append(found)
                if found.running:
                    note(found)
        check()
    # Nobody is left behind: as those at work end, all who wait have their turn.
    while here:
        running = [entry for entry in here if entry.running]
        assert running, "those who wait could begin, since nobody is at work"
        here.remove(running[0])
        queue.leave(running[0])
        pump()
        check()
    assert queue.taken == queue.waiting == 0
    assert not queue.busy
    for numbers in begun.values():
        assert numbers == sorted(numbers)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 20), st.sampled_from([math.inf, 150.0]), st.lists(st.one_of(CLAIMS, st.integers(0, 30)), max_size=60)
)
def test_an_engine_that_yields_lets_chats_begin_as_if_there_were_no_batch(
    places: int, room: float, steps: list[Claim | int]
) -> None:
    """The same chats come and go in two queues, of which one has the batches too."""
    both, chats = yielding(places, room=room), yielding(places, room=room)
    here: list[tuple[Entry, Entry | None]] = []

    def pump(queue: FairQueue) -> None:
        while queue.begin_next() is not None:
            pass

    for step in steps:
        if isinstance(step, int):
            if here:
                entry, alone = here.pop(step % len(here))
                both.leave(entry)
                pump(both)
                if alone is not None:
                    chats.leave(alone)
                    pump(chats)
        else:
            # A size of 0 counts as usual, and batches are a part of what is usual. An account's weight is a standing of
            # its own, whatever it sends.
            step = replace(step, size=step.size + 1, weight=1)
            entry = both.enter(step, 0.0, ready=True, patience=60, rate=None)  # type: ignore[assignment]
            alone = None
            if step.priority is not BACKGROUND:
                alone = chats.enter(step, 0.0, ready=True, patience=60, rate=None)  # type: ignore[assignment]
            here.append((entry, alone))
        assert [entry.running for entry, alone in here if alone] == [alone.running for _, alone in here if alone]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 100), st.integers(1, 100))
def test_two_that_never_pause_share_by_weight_whatever_their_sizes(
    weight: int, other: int, size: int, size_of_other: int
) -> None:
    queue = FairQueue(1, 10_000)
    running = [come(queue, "first", 1)]
    for _ in range(60):
        come(queue, "a", size, weight=weight)
        come(queue, "b", size_of_other, weight=other)
    done = {"a": 0.0, "b": 0.0}
    for name in drain(queue, running, 60):
        done[name] += size if name == "a" else size_of_other
    # By no more than a request of each: the bound of start-time fair queueing.
    assert abs(done["a"] / weight - done["b"] / other) <= size / weight + size_of_other / other + 1e-6
