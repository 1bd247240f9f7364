"""Windows of several jobs that wait for the network at the same time are decoded together."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ctranslate2
import numpy as np
import pytest

from server.engines.cancellation import GivenUp, asking
from server.engines.whisper.batcher import Batcher, Window, on_behalf_of


class Pending:
    """Like the library's it must not be asked whether it is done while its result is taken: `get` of C++'s future lets
    go of the interpreter's lock, and leaves the future without a state."""

    def __init__(self, batch: "Batch", value: str) -> None:
        self.batch, self.value = batch, value
        self.taking = False

    def done(self) -> bool:
        if self.taking:
            raise RuntimeError("std::future_error: No associated state")
        return self.batch.may_end.is_set()

    def result(self) -> str:
        assert self.done(), "it would block"
        self.taking = True
        self.batch.taken.set()
        assert self.batch.may_be_taken.wait(10)
        self.taking = False
        if self.batch.error is not None:
            raise self.batch.error
        return self.value


class Batch:
    """One call of `generate`, and the windows in it by their names."""

    def __init__(self, names: list[int], prompts: list[list[int]], options: dict[str, Any]) -> None:
        self.names, self.prompts, self.options = names, prompts, options
        self.may_end, self.taken, self.may_be_taken = threading.Event(), threading.Event(), threading.Event()
        self.may_be_taken.set()
        self.error: Exception | None = None


class Library:
    """CTranslate2's Whisper, whose encoder adds 1000. held: batches end only when a test lets them."""

    n_mels = 80

    def __init__(self, *, held: bool = False, fails: Callable[[Batch], Exception | None] = lambda _: None) -> None:
        self.held, self.fails = held, fails
        self.batches: list[Batch] = []
        self.encoded: list[list[int]] = []
        self.aligned: list[list[int]] = []
        self.begun = threading.Semaphore(0)

    def encode(self, features: Any) -> Any:
        names = np.array(features)
        self.encoded.append([round(float(name)) for name in names.ravel()])
        return ctranslate2.StorageView.from_array(names + 1000)

    def generate(self, features: Any, prompts: list[list[int]], *, asynchronous: bool, **options: Any) -> list[Pending]:
        assert asynchronous
        batch = Batch([round(float(name)) - 1000 for name in np.array(features).ravel()], prompts, options)
        self.batches.append(batch)
        batch.error = self.fails(batch)
        if not self.held:
            batch.may_end.set()
        self.begun.release()
        return [Pending(batch, f"{name}") for name in batch.names]

    def align(self, features: Any, *inputs: Any, **options: Any) -> Any:
        self.aligned.append([round(float(name)) - 1000 for name in np.array(features).ravel()])
        return inputs, options

    def detect_language(self, features: Any) -> float:
        return float(np.array(features).ravel()[0])


def window(batcher: Batcher, name: int) -> Window:
    return batcher.encode(ctranslate2.StorageView.from_array(np.full((1, 1, 1), name, np.float32)))


class Company:
    """Jobs in threads, which come in line one after the other while the first batch is held."""

    def __init__(self, batcher: Batcher) -> None:
        self.batcher = batcher
        self.threads: list[threading.Thread] = []
        self.found: dict[int, Any] = {}

    def comes(self, name: int, job: str, prompt: tuple[int, ...] = (1,), **options: Any) -> None:
        waiting = sum(map(len, self.batcher._lines.values()))

        def decode() -> None:
            with on_behalf_of(job):
                try:
                    self.found[name] = self.batcher.generate(window(self.batcher, name), [list(prompt)], **options)
                except Exception as error:  # noqa: BLE001 - the test looks at it
                    self.found[name] = error

        thread = threading.Thread(target=decode)
        self.threads.append(thread)
        thread.start()
        if len(self.threads) > 1:
            while sum(map(len, self.batcher._lines.values())) == waiting:
                thread.join(0.001)

    def ends(self) -> None:
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@contextmanager
def company(library: Library, windows: int = 4) -> Iterator[Company]:
    """Window 0 is being decoded; when the block ends, all batches may."""
    library.held = True
    jobs = Company(Batcher(library, windows))
    jobs.comes(0, "first")
    assert library.begun.acquire(timeout=10)
    yield jobs
    library.held = False
    library.batches[0].may_end.set()
    jobs.ends()


def test_a_window_alone_waits_for_no_other() -> None:
    library = Library()
    batcher = Batcher(library, 4)
    assert batcher.generate(window(batcher, 7), [[5, 6]], beam_size=5) == ["7"]
    (batch,) = library.batches
    assert (batch.names, batch.prompts, batch.options) == ([7], [[5, 6]], {"beam_size": 5})
    assert batcher.n_mels == 80


def test_those_that_wait_are_decoded_together() -> None:
    library = Library()
    with company(library) as jobs:
        for name in (1, 2, 3):
            jobs.comes(name, f"job {name}", (name,))
    assert [batch.names for batch in library.batches] == [[0], [1, 2, 3]]
    assert library.batches[1].prompts == [[1], [2], [3]]
    assert jobs.found == {0: ["0"], 1: ["1"], 2: ["2"], 3: ["3"]}


def test_places_are_shared_out_by_jobs() -> None:
    library = Library()
    with company(library) as jobs:
        for name in (1, 2, 3, 4, 5):
            jobs.comes(name, "long")
        jobs.comes(6, "short")
    assert [batch.names for batch in library.batches] == [[0], [1, 6, 2, 3], [4, 5]]


def test_a_job_that_was_served_goes_to_the_end() -> None:
    library = Library()
    with company(library, windows=1) as jobs:
        for name, job in ((1, "A"), (2, "A"), (3, "B"), (4, "C")):
            jobs.comes(name, job)
    assert [batch.names for batch in library.batches] == [[0], [1], [3], [4], [2]]


def test_only_what_is_alike_is_decoded_together() -> None:
    library = Library()
    with company(library) as jobs:
        jobs.comes(1, "A", beam_size=5)
        jobs.comes(2, "B", beam_size=1)
        jobs.comes(3, "C", (1, 2), beam_size=5)  # a longer prompt
        jobs.comes(4, "D", beam_size=5)
    assert [batch.names for batch in library.batches] == [[0], [1, 4], [2], [3]]
    assert [batch.options for batch in library.batches[1:3]] == [{"beam_size": 5}, {"beam_size": 1}]


def test_one_that_fails_fails_alone() -> None:
    library = Library(fails=lambda batch: RuntimeError("window 2") if 2 in batch.names else None)
    with company(library) as jobs:
        for name in (1, 2, 3):
            jobs.comes(name, f"job {name}")
    assert jobs.found[1] == ["1"]
    assert jobs.found[3] == ["3"]
    assert str(jobs.found[2]) == "window 2"
    assert [batch.names for batch in library.batches][:2] == [[0], [1, 2, 3]]
    assert sorted(batch.names for batch in library.batches[2:]) == [[1], [2], [3]]


def test_nobody_asks_for_a_result_while_another_thread_takes_it() -> None:
    library = Library()
    jobs = Company(Batcher(library, 4))
    library.held = True
    jobs.comes(0, "first")
    assert library.begun.acquire(timeout=10)
    for name in (1, 2):
        jobs.comes(name, f"job {name}", beam_size=5)
    jobs.comes(3, "job 3", beam_size=1)
    library.batches[0].may_end.set()
    assert library.begun.acquire(timeout=10)
    two = library.batches[1]
    two.may_be_taken.clear()
    two.may_end.set()
    assert two.taken.wait(10)
    # One of the two is at it. The next batch begins meanwhile, in a thread that looked whether this one is decoded.
    assert library.begun.acquire(timeout=10)
    library.held = False
    library.batches[2].may_end.set()
    jobs.threads[3].join(10)
    two.may_be_taken.set()
    jobs.ends()
    assert [batch.names for batch in library.batches] == [[0], [1, 2], [3]]
    assert jobs.found == {0: ["0"], 1: ["1"], 2: ["2"], 3: ["3"]}


def test_a_batch_that_can_not_be_begun_fails_as_one_that_does_not_end() -> None:
    def fails(batch: Batch) -> Exception | None:
        raise RuntimeError(f"no memory for {len(batch.names)}")

    batcher = Batcher(Library(fails=fails), 4)
    with pytest.raises(RuntimeError, match="no memory for 1"):
        batcher.generate(window(batcher, 1), [[1]])
    with pytest.raises(RuntimeError, match="no memory for 1"):
        batcher.generate(window(batcher, 2), [[1]])


def test_one_that_is_given_up_leaves_the_others_in_the_batch() -> None:
    library = Library()
    gone = threading.Event()
    batcher = Batcher(library, 4)
    library.held = True
    left: list[Any] = []

    def given_up_on_the_way() -> None:
        with asking(gone.is_set):
            try:
                batcher.generate(window(batcher, 0), [[1]])
            except GivenUp as error:
                left.append(error)

    beginner = threading.Thread(target=given_up_on_the_way)
    beginner.start()
    assert library.begun.acquire(timeout=10)
    gone.set()
    beginner.join(10)
    assert len(left) == 1
    # Nobody that waits for it is left, and it goes on in the library: the next batch comes after it.
    jobs = Company(batcher)
    jobs.threads.append(beginner)
    jobs.comes(1, "B")
    assert [batch.names for batch in library.batches] == [[0]]
    library.held = False
    library.batches[0].may_end.set()
    jobs.ends()
    assert jobs.found == {1: ["1"]}


def test_one_that_is_given_up_in_line_is_not_decoded() -> None:
    library = Library()
    gone = threading.Event()
    with company(library) as jobs:
        with asking(gone.is_set):
            gone.set()
            with pytest.raises(GivenUp):
                jobs.batcher.generate(window(jobs.batcher, 9), [[1]])
        jobs.comes(1, "B")
    assert [batch.names for batch in library.batches] == [[0], [1]]


def test_a_window_is_encoded_once() -> None:
    library = Library()
    batcher = Batcher(library, 4)
    one = window(batcher, 5)
    assert library.encoded == []
    assert batcher.detect_language(one) == 1005.0
    batcher.generate(one, [[1]])
    batcher.generate(one, [[1]], sampling_temperature=0.2)
    assert batcher.align(one, [1], [[2]], 3, median_filter_width=7) == (([1], [[2]], 3), {"median_filter_width": 7})
    assert library.encoded == [[5]]
    assert library.aligned == [[5]]


@pytest.mark.parametrize(("together", "calls"), [(False, [[1], [2]]), (True, [[1, 2]])])
def test_a_batch_is_encoded_in_one_call_or_window_by_window(together: bool, calls: list[list[int]]) -> None:
    library = Library()
    batcher = Batcher(library, 4, together=together)
    windows = [window(batcher, 1), window(batcher, 2)]
    batcher._encode(windows)
    assert library.encoded == calls
    assert [float(one.encoded().ravel()[0]) for one in windows] == [1001.0, 1002.0]
    assert library.aligned == []
    batcher.align(windows[1])
    assert library.aligned == [[2]]
