"""CTranslate2's Whisper, whose longest step can be left when nobody waits for it any more."""

import time
from typing import Any

from server.engines.cancellation import GivenUp, given_up

LOOK = 0.005
"""Seconds between two looks at whether a window is decoded, or given up."""


class Interruptible:
    """In place of `WhisperModel.model`. Only `generate` differs, which faster-whisper calls for each temperature.

    A window that falls through all of them takes seconds, and faster-whisper yields nothing meanwhile. What the library
    has begun it brings to an end, 448 tokens at most: the next window waits for that, but the job's end does not.
    """

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, *inputs: Any, **options: Any) -> list[Any]:
        """As the library's. Raises GivenUp."""
        if given_up():
            raise GivenUp
        pending = self._model.generate(*inputs, asynchronous=True, **options)
        for result in pending:
            while not result.done():
                if given_up():
                    raise GivenUp
                time.sleep(LOOK)
        return [result.result() for result in pending]
