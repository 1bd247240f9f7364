"""A fake engine in a process of its own, so that it can be killed as a real one: a handler for `WorkerEngine`.

As the program `python -m scripts.attacks.apart serve …` it is the server itself, whose model named `apart` is this one.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from server.core import Event, Facts, Job
from server.engines.fake.options import FakeOptions
from server.engines.fake.script import events_of, facts_of

NAME = "apart"
WORKER = "server.engines.worker.child"
"""In the command line of an engine's process."""


class ApartReading:
    """A job's answer, in steps of `step` seconds."""

    def __init__(self, job: Job, options: FakeOptions) -> None:
        self.facts: Facts = facts_of(job, options)
        self._job = job
        self._options = options

    def run(self, limit: int | None = None) -> Iterator[Event]:  # noqa: ARG002 - its answers are short
        for event in events_of(self._job, self._options):
            time.sleep(self._options.step)
            yield event

    def close(self) -> None:
        pass


class Apart:
    def __init__(self, options: FakeOptions) -> None:
        self._options = options

    def read(self, job: Job) -> ApartReading:
        return ApartReading(job, self._options)


def create(options: Mapping[str, Any]) -> Apart:
    return Apart(FakeOptions(**options))


def main() -> None:
    """The command `sagehold`, whose model `apart` is a process."""
    from server.__main__ import main as sagehold
    from server.engines.worker.engine import WorkerEngine
    from server.models import factory

    make = factory.make_engine

    def made(spec: Any, **options: Any) -> Any:
        if spec.name != NAME:
            return make(spec, **options)
        return WorkerEngine("scripts.attacks.apart:create", spec.options, name=NAME, concurrency=4)

    factory.make_engine = made
    sagehold()


if __name__ == "__main__":
    main()
