"""What the worker of test_torn_files.py runs, in a module of its own since it needs nothing of that server."""

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from server.core import AudioChunk, Event, Facts, Job, SpeechJob, Usage
from tests.reading import Handles


class Dying(Handles):
    """Says a piece, and ends as the job's text wants it."""

    def handle(self, job: Job) -> Iterator[Facts | Event]:
        assert isinstance(job, SpeechJob)
        yield Facts()
        yield AudioChunk(b"one", 3)
        if job.text == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif job.text == "raises":
            raise RuntimeError
        elif job.text == "goes on":
            yield Usage(characters=3)


def create(options: Mapping[str, Any]) -> Dying:
    return Dying()
