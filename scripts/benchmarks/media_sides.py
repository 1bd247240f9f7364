"""The sides of `scripts/bench media`: servers, and libraries called directly, each in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import psutil

from scripts.benchmarks.front_sides import Tree, check_code
from scripts.benchmarks.media_client import Answer, Client
from scripts.benchmarks.media_models import Models
from scripts.benchmarks.media_sounds import SHORT, Sound, long_text
from scripts.benchmarks.media_works import Work
from scripts.benchmarks.processes import Server, Side, StartError, frozen, processor_seconds, thawed
from scripts.benchmarks.sides import REPOSITORY, sagehold, side_environment

PROMPTS = ("red heart", "yellow star", "green apple", "blue fish", "brown dog", "white cloud", "orange cat", "rocket")
"""Of pictures that are drawn at once; the starter model knows what they are."""


@dataclass(frozen=True, slots=True)
class Done:
    """One work done. seconds by measure: the work's name, and NAME.first for its first piece. heard: transcripts, in
    the order of the asks."""

    seconds: Mapping[str, float]
    heard: Sequence[str] = ()


class Doer(Protocol):
    """A side. All of them but one stand still while that one works."""

    name: str

    def does(self, work: Work) -> bool: ...

    def do(self, work: Work) -> Done:
        """Raises ValueError where an answer is not what was asked for."""
        ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def processor_seconds(self) -> float: ...


# ---------------------------------------------------------------- servers


def server_side(tree: Tree, name: str, models: Models, folder: Path) -> Side:
    """A server of the tree's code and model configs, without keys, with the models that draw, hear and speak.

    Neither the server nor its workers take code from the folder that they are started in. Raises StartError if the
    interpreter would take the server's from elsewhere.
    """
    data = folder / f"data-{name.replace(' ', '-')}"
    environment = {"SAGEHOLD_AUTH": "off", "SAGEHOLD_LOG_LEVEL": "warning", "SAGEHOLD_DATA_DIR": str(data)}
    side = sagehold(
        data,
        model=",".join(spec.name for spec in models.all),
        models_dir=models.folder,
        name=name,
        configs=tree.folder / "model_configs",
        environment={**environment, "PYTHONPATH": str(tree.folder), "PYTHONSAFEPATH": "1"},
    )
    python, *rest = side.command
    check_code(tree, python, side.environment)
    return replace(side, command=(python, "-P", *rest))


class Served:
    """A server that is ready."""

    def __init__(self, name: str, server: Server, models: Models, sounds: Mapping[str, Sound]) -> None:
        self.name = name
        self.server = server
        self._models = models
        self._sounds = sounds
        self._client = Client(server.url, {kind: spec.name for kind, spec in models.by_kind.items()})

    def close(self) -> None:
        self._client.close()

    def does(self, work: Work) -> bool:  # noqa: ARG002 - whatever there is
        return True

    def do(self, work: Work) -> Done:
        asks = [self._asked(work, number) for number in range(len(work.asks))]
        if work.behind is None:
            return _seconds(work, self._client.all(asks))
        with self._client.hearing(self._sounds[work.behind].data, "low"):
            answers = self._client.all(asks)
        # What the library had begun when the client hung up it brings to an end: this one waits for it.
        self._client.all(asks[:1])
        return _seconds(work, answers)

    def _asked(self, work: Work, number: int) -> Callable[[float], Answer]:
        ask = work.asks[number]
        match work.kind:
            case "pictures":
                spec = self._models.image
                return partial(
                    self._client.draw,
                    prompt=PROMPTS[number],
                    count=ask["count"],
                    size=spec.size,
                    steps=spec.steps,
                    seed=number,
                )
            case "transcription":
                data = self._sounds[ask["sound"]].data
                return partial(self._client.hear, data=data, quality=ask["quality"], stream=work.first)
            case "speech":
                return partial(self._client.say, text=text_of(ask["text"]))

    def freeze(self) -> None:
        self.server.freeze()

    def thaw(self) -> None:
        self.server.thaw()

    def processor_seconds(self) -> float:
        return self.server.processor_seconds()


def _seconds(work: Work, answers: Sequence[Answer]) -> Done:
    seconds = {work.name: max(answer.seconds for answer in answers)}
    if work.first:
        seconds[f"{work.name}.first"] = min(answer.first for answer in answers)
    return Done(seconds, [answer.text for answer in answers] if work.kind == "transcription" else ())


def text_of(name: str) -> str:
    """A text by the name that works have for it."""
    return long_text() if name == "long" else SHORT[int(name.removeprefix("short-"))]


# ---------------------------------------------------------------- libraries


@dataclass(slots=True)
class Library:
    """One library, loaded in a process of its own; `media_direct.py` is what runs there."""

    process: psutil.Popen
    tree: set[psutil.Process] = field(default_factory=set)

    def ask(self, way: str, asks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """Raises ValueError if the process ended."""
        self.process.stdin.write(json.dumps({"way": way, "asks": asks}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ValueError("a library's process ended while it was called")
        return dict(json.loads(line))


@contextmanager
def library(kind: str, settings: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[Library]:
    """`kind` is loaded for the length of the block, with these variables beside the others. Raises StartError."""
    command = [sys.executable, "-m", "scripts.benchmarks.media_direct", kind, json.dumps(settings)]
    process = psutil.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**side_environment(environment), "PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
    )
    try:
        if process.stdout.readline() != "ready\n":
            raise StartError(f"{kind}: the library could not be loaded; what it says stands above")
        yield Library(process)
    finally:
        thawed({process})
        process.kill()
        process.wait()


class Called:
    """Libraries called in one way: as they are, or in batches."""

    def __init__(self, way: str, libraries: Mapping[str, Library], models: Models, sounds: Mapping[str, Sound]) -> None:
        self.name = way
        self._libraries = libraries
        self._models = models
        self._sounds = sounds

    def does(self, work: Work) -> bool:
        return self.name in work.direct

    def do(self, work: Work) -> Done:
        asks = [self._asked(work, number) for number in range(len(work.asks))]
        answer = self._libraries[work.kind].ask(self.name, asks)
        seconds = {work.name: float(answer["seconds"])}
        if work.first:
            seconds[f"{work.name}.first"] = float(answer["first"])
        return Done(seconds, answer.get("texts", ()))

    def _asked(self, work: Work, number: int) -> Mapping[str, Any]:
        ask = work.asks[number]
        match work.kind:
            case "pictures":
                return {"prompt": PROMPTS[number], "count": ask["count"]}
            case "transcription":
                options = self._models.hearing(ask["quality"])
                return {"file": str(self._sounds[ask["sound"]].file), "options": options}
            case "speech":
                return {"text": text_of(ask["text"])}

    def freeze(self) -> None:
        frozen({one.process for one in self._libraries.values()})

    def thaw(self) -> None:
        thawed({one.process for one in self._libraries.values()})

    def processor_seconds(self) -> float:
        return sum(processor_seconds(one.process) for one in self._libraries.values())


def several(side: Doer, work: Work) -> Done:
    """The work, as often in a row as it is to be done: the median of each measure, and what was heard the last time."""
    done = [side.do(work) for _ in range(work.times)]
    measures = {name: median(one.seconds[name] for one in done) for name in done[0].seconds}
    return Done(measures, done[-1].heard)
