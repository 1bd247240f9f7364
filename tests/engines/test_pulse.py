"""What counts as a hang: looks a second apart, at processes and signs that the test makes up."""

from collections.abc import Iterator

import pytest

from server.engines.pulse import Patience, Process, Pulse, Sign

PATIENCE = Patience(silence=7, step=60, stopped=5, interval=1)


class Looks:
    """A pulse that is looked at once a second, at one process unless others are given."""

    def __init__(self) -> None:
        self.pulse = Pulse(PATIENCE)
        self.now = 1000.0
        self.seconds = 0.0
        self.faults = 0

    def look(
        self, sign: Sign, *, after: float = 1, computed: float = 0, state: str = "S", faults: int = 0
    ) -> str | None:
        self.now += after
        self.seconds += computed
        self.faults += faults
        return self.pulse.look(self.now, {7: Process(state, self.seconds, self.faults)}, sign)


@pytest.fixture
def looks() -> Looks:
    return Looks()


def answering(step: int | None) -> Iterator[Sign]:
    """Signs of a worker that answers every ping, with its slowest job at `step`."""
    for count in range(1000):
        yield Sign(count, step)


def test_a_stopped_process_is_found_after_five_seconds(looks: Looks) -> None:
    signs = answering(None)
    assert looks.look(next(signs), computed=1) is None
    found = [looks.look(next(signs), state="T") for _ in range(5)]
    assert found == [None] * 4 + ["process 7 is stopped"]


def test_any_of_the_processes_may_be_the_one_that_is_stopped() -> None:
    pulse = Pulse(PATIENCE)
    found = [
        pulse.look(now, {7: Process("R", now, 0), 8: Process("T", 0, 0)}, Sign(step=now))
        for now in map(float, range(7))
    ]
    assert found[5:] == ["process 8 is stopped"] * 2


def test_one_that_was_stopped_for_a_moment_is_left_alone(looks: Looks) -> None:
    signs = answering(None)
    for _ in range(3):
        assert [looks.look(next(signs), state=state) for state in "TTTTS"] == [None] * 5


def test_one_that_a_debugger_holds_is_not_stopped(looks: Looks) -> None:
    signs = answering(None)
    assert not any(looks.look(next(signs), state="t") for _ in range(30))


def test_pings_without_answer_are_a_hang_however_much_is_computed(looks: Looks) -> None:
    """A loop that keeps the interpreter's lock."""
    assert looks.look(Sign(3, step=1), computed=1) is None
    found = [looks.look(Sign(3, step=1), computed=1) for _ in range(7)]
    assert found == [None] * 6 + ["it does not answer"]


def test_no_look_counts_for_more_than_two_seconds(looks: Looks) -> None:
    """The front end stood still for an hour, or the machine was asleep: the answer lies in the socket, unread."""
    assert looks.look(Sign(3), computed=1) is None
    assert looks.look(Sign(3), after=3600) is None
    assert looks.look(Sign(3), after=3600) is None
    assert looks.look(Sign(4)) is None
    assert [looks.look(Sign(4)) for _ in range(6)] == [None] * 6


def test_work_that_neither_goes_on_nor_computes_is_a_hang(looks: Looks) -> None:
    """Threads that wait for each other, in a process that answers."""
    signs = answering(step=5)
    assert looks.look(next(signs), computed=1) is None
    found = [looks.look(next(signs), computed=0.001) for _ in range(7)]
    assert found == [None] * 6 + ["it neither goes on with its work nor computes"]


def test_without_work_there_is_nothing_that_could_go_on(looks: Looks) -> None:
    signs = answering(None)
    assert not any(looks.look(next(signs)) for _ in range(1000))


@pytest.mark.parametrize("sign_of_work", [{"computed": 0.05}, {"faults": 1}], ids=["computes", "reads pages"])
def test_a_long_step_that_computes_is_no_hang(looks: Looks, sign_of_work: dict[str, float]) -> None:
    """A twentieth of a core is what is left of one for each of forty that want two."""
    signs = answering(step=5)
    assert not any(looks.look(next(signs), **sign_of_work) for _ in range(60))  # type: ignore[arg-type]


def test_a_step_without_end_is_a_hang_though_it_computes(looks: Looks) -> None:
    signs = answering(step=5)
    found = [looks.look(next(signs), computed=1) for _ in range(61)]
    assert found == [None] * 60 + ["it has been at one step of its work for 60 s"]


def test_where_a_step_took_long_the_next_may_take_ten_times_as_long(looks: Looks) -> None:
    """A slow machine is not taken for a hang as its work grows."""
    first, second = answering(step=5), answering(step=6)
    assert not any(looks.look(next(first), computed=1) for _ in range(31))
    found = [looks.look(next(second), computed=1) for _ in range(301)]
    assert found[:300] == [None] * 300
    assert found[300] == "it has been at one step of its work for 300 s"


def test_steps_of_a_core_that_answers_between_them_only(looks: Looks) -> None:
    """No answers are counted: a ping without one is a step that has not ended."""
    assert looks.look(Sign(step=1), computed=1) is None
    assert [looks.look(Sign(step=1), computed=0.5) for _ in range(30)] == [None] * 30
    found = [looks.look(Sign(step=1)) for _ in range(7)]
    assert found[-1] == "it neither goes on with its work nor computes"


def test_while_it_loads_only_a_stop_is_a_hang(looks: Looks) -> None:
    assert not any(looks.look(Sign()) for _ in range(1000))
    assert looks.look(Sign(), state="T") is None
    assert [looks.look(Sign(), state="T") for _ in range(5)][-1] == "process 7 is stopped"


def test_a_child_that_began_in_between_counts_with_all_that_it_computed() -> None:
    """A compiler, say, that a step waits for."""
    pulse = Pulse(PATIENCE)
    for now in range(30):
        assert pulse.look(now, {7: Process("S", 1, 0), 100 + now: Process("R", 0.9, 0)}, Sign(now, step=5)) is None
