"""CTranslate2's Whisper, which decodes the windows of several recordings, or several of one, in a batch.

Jobs run faster-whisper's own loop, each in threads of its own, and meet here: whatever waits when the network is free
is its next batch. There is no thread for it, and nobody waits for company: a lone window is a batch of its own.
"""

import threading
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from server.engines.cancellation import GivenUp, given_up

LOOK = 0.005
"""Seconds between two looks at whether a batch is decoded, by the thread that began it."""

GLANCE = 0.05
"""Seconds between two looks of every other thread: whether its job was given up, and the batch's beginner has left."""

Floats = npt.NDArray[np.float32]

_current = threading.local()


@contextmanager
def on_behalf_of(job: Hashable) -> Iterator[None]:
    """For the length of the block, what this thread has decoded counts as the job's. By default a thread is a job."""
    _current.job = job
    try:
        yield
    finally:
        _current.job = None


class Window:
    """30 seconds of a recording: features [1, bands, frames], and what the encoder made of them, once it has.

    The encoder's output may be a whole batch's, on the device where it was computed; `place` is this window's row.
    """

    def __init__(self, features: npt.NDArray[Any]) -> None:
        self.features = features
        self.view: Any = None
        self.place = 0

    def encoded(self) -> Floats:
        """[1, frames / 2, width] in host memory: bfloat16 is no type of NumPy's, and the model takes float32."""
        import ctranslate2

        view = self.view.to_device(ctranslate2.Device.cpu).to(ctranslate2.DataType.float32)
        return np.array(view)[self.place : self.place + 1]


class _Wish:
    """A window that is to be decoded. `like`: only wishes for which it is equal are decoded together.

    turn: set when it is decoded, and when its thread is to begin the next batch.
    """

    def __init__(self, window: Window, prompt: list[int], options: dict[str, Any], *, alone: bool) -> None:
        self.job: Hashable = getattr(_current, "job", None) or threading.get_ident()
        self.window = window
        self.prompt = prompt
        self.options = options
        # The library takes prompts of one length only.
        self.like = (len(prompt), repr(sorted(options.items())), id(self) if alone else None)
        self.batch: _Batch | None = None
        self.turn = threading.Event()


class _Batch:
    """pending: the library's result for each wish, or None as long as it was not asked. error: of asking it.

    features: kept for as long as the library reads them.
    """

    def __init__(self, wishes: list[_Wish]) -> None:
        self.wishes = wishes
        self.features: Any = None
        self.pending: list[Any] | None = None
        self.error: Exception | None = None
        self._done = False

    def done(self) -> bool:
        """To be called under the batcher's lock: the library must not be asked for a result that a thread takes at that
        moment, so it is asked until all of them are there and never again.
        """
        if not self._done:
            self._done = self.error is not None or (
                self.pending is not None and all(result.done() for result in self.pending)
            )
        return self._done

    def result(self, wish: _Wish) -> Any:
        """Of a batch that is done. Raises what the library raised."""
        if self.error is not None:
            raise self.error
        assert self.pending is not None
        return self.pending[self.wishes.index(wish)].result()


class Batcher:
    """In place of `WhisperModel.model`. `encode` waits until it is known what it can be done with.

    windows: the most of a batch. together: whether a batch is encoded in one call, which gains on a GPU only, and
    takes memory for all of it.

    Invariants, under the lock: a wish is in the line of its job, or in a batch, or its thread has left. A batch is in
    `_running` from when it is formed until it is decoded. Whoever takes the last batch out wakes the first in line.
    """

    def __init__(self, model: Any, windows: int, *, together: bool = False) -> None:
        self._model = model
        self._windows = windows
        self._together = together
        self._lock = threading.Lock()
        self._lines: dict[Hashable, deque[_Wish]] = {}
        self._running: _Batch | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    # ------------------------------------------------------------ as the library's

    def encode(self, features: Any, to_cpu: bool = False) -> Window:  # noqa: ARG002 - copied when it is needed there
        """features: of one window."""
        return Window(np.array(features))

    def detect_language(self, window: Window) -> Any:
        self._encode([window])
        return self._model.detect_language(_view([window]))

    def align(self, window: Window, *inputs: Any, **options: Any) -> Any:
        self._encode([window])
        return self._model.align(_view([window]), *inputs, **options)

    def generate(self, window: Window, prompts: list[list[int]], **options: Any) -> list[Any]:
        """The result for one window and its prompt. Raises GivenUp.

        What the library has begun it brings to an end, 448 tokens at most, for the others in the batch. A batch that
        fails is decoded again one by one, so that what is wrong with one window is only its own job's failure.
        """
        (prompt,) = prompts
        wish = _Wish(window, prompt, options, alone=False)
        try:
            return [self._decoded(wish)]
        except GivenUp:
            raise
        except Exception:
            if wish.batch is None or len(wish.batch.wishes) == 1:
                raise
        return [self._decoded(_Wish(window, prompt, options, alone=True))]

    # ------------------------------------------------------------ whose turn it is

    def _decoded(self, wish: _Wish) -> Any:
        if given_up():
            raise GivenUp
        with self._lock:
            self._lines.setdefault(wish.job, deque()).append(wish)
        begun: _Batch | None = None
        try:
            while True:
                with self._lock:
                    self._retire()
                    batch = self._next() if self._running is None and wish.batch is None else None
                    self._running = batch or self._running
                if batch is not None:
                    begun = batch
                    self._begin(batch)
                with self._lock:
                    decoded = wish.batch is not None and wish.batch.done()
                if decoded:
                    assert wish.batch is not None
                    return wish.batch.result(wish)
                if given_up():
                    raise GivenUp
                wish.turn.wait(LOOK if begun is not None and begun is self._running else GLANCE)
                wish.turn.clear()
        finally:
            with self._lock:
                if wish.batch is None:
                    self._leave(wish)
                self._retire()

    def _retire(self) -> None:
        """Take the batch that is decoded out, and wake whom that concerns."""
        if self._running is not None and self._running.done():
            for wish in self._running.wishes:
                wish.turn.set()
            self._running = None
        if self._running is None and self._lines:
            next(iter(self._lines.values()))[0].turn.set()

    def _leave(self, wish: _Wish) -> None:
        line = self._lines[wish.job]
        line.remove(wish)
        if not line:
            del self._lines[wish.job]

    def _next(self) -> _Batch:
        """One window of each job in turn, and again until the batch is full, of those that are like the first.

        A job whose windows were taken goes to the end, so a recording of one window waits for one batch of others.
        Example: A waits with windows 1–5 and B with one; a batch of 4 is A1, B1, A2, A3.
        """
        first = next(iter(self._lines.values()))[0]
        wishes: list[_Wish] = []
        ready = {job: deque(wish for wish in line if wish.like == first.like) for job, line in self._lines.items()}
        while len(wishes) < self._windows and (ready := {job: line for job, line in ready.items() if line}):
            wishes += [line.popleft() for line in list(ready.values())[: self._windows - len(wishes)]]
        batch = _Batch(wishes)
        for wish in wishes:
            wish.batch = batch
            self._leave(wish)
        for job in {wish.job: None for wish in wishes}:
            if (line := self._lines.pop(job, None)) is not None:
                self._lines[job] = line
        return batch

    # ------------------------------------------------------------ in the thread that begins a batch

    def _begin(self, batch: _Batch) -> None:
        windows = [wish.window for wish in batch.wishes]
        try:
            self._encode(windows)
            batch.features = _view(windows)
            batch.pending = self._model.generate(
                batch.features,
                [wish.prompt for wish in batch.wishes],
                asynchronous=True,
                **batch.wishes[0].options,
            )
        except Exception as error:  # noqa: BLE001 - it belongs to all whose windows are in the batch
            batch.error = error

    def _encode(self, windows: Sequence[Window]) -> None:
        left = [window for window in windows if window.view is None]
        size = max(len(left), 1) if self._together else 1
        for start in range(0, len(left), size):
            some = left[start : start + size]
            view = self._model.encode(_storage([window.features for window in some]))
            for place, window in enumerate(some):
                window.view, window.place = view, place


def _view(windows: Sequence[Window]) -> Any:
    """The encoder's output for the windows. It stays on its device where they are a whole batch of its own."""
    view = windows[0].view
    if view.shape[0] == len(windows) and all(
        window.view is view and window.place == place for place, window in enumerate(windows)
    ):
        return view
    return _storage([window.encoded() for window in windows])


def _storage(arrays: Sequence[npt.NDArray[Any]]) -> Any:
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(np.concatenate(arrays)))
