"""A window that falls through all temperatures is left when its job is given up."""

import threading
import time
from typing import Any

import pytest

from server.engines.cancellation import GivenUp, asking
from server.engines.whisper.interruptible import Interruptible


class Pending:
    """A window of which the library says for `looks` looks that it is still decoded."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def done(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def result(self) -> str:
        assert self.looks < 0, "it would block"
        return "decoded"


class Library:
    n_mels = 80

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.asked: list[Any] = []

    def generate(self, *inputs: Any, **options: Any) -> list[Pending]:
        self.asked.append((inputs, options))
        return [Pending(self.looks)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


def test_what_is_asked_and_answered_is_the_librarys() -> None:
    library = Library(3)
    model = Interruptible(library)
    assert model.n_mels == 80
    assert model.generate("features", [[1]], beam_size=5) == ["decoded"]
    assert library.asked == [(("features", [[1]]), {"beam_size": 5, "asynchronous": True})]


def test_a_window_under_way_is_left() -> None:
    looks = iter([False, False, True])
    with asking(lambda: next(looks)), pytest.raises(GivenUp):
        Interruptible(Library(10**9)).generate("features", [[1]])


def test_the_next_temperature_is_not_begun() -> None:
    library = Library(0)
    with asking(lambda: True), pytest.raises(GivenUp):
        Interruptible(library).generate("features", [[1]])
    assert library.asked == []


def test_another_thread_is_not_asked() -> None:
    """Jobs run in threads; each is given up by itself."""
    answers: list[Any] = []
    with asking(lambda: True):
        other = threading.Thread(target=lambda: answers.append(Interruptible(Library(1)).generate("features", [[1]])))
        other.start()
        other.join()
    assert answers == [["decoded"]]
