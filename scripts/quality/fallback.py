"""How often each temperature of Whisper's fallback is used and what it wins, and what `high` costs beside `low`.

The transcriber runs in this process, without a server, so that every hearing of a window can be counted. Clips are
those of the measure `transcription`: one window each, so what a temperature won is known word by word. Recordings are
of one kind each, and tell seconds.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from scripts.benchmarks.report import keep
from scripts.quality.clips import as_wav
from scripts.quality.recordings import KINDS, recording
from scripts.quality.transcription import items
from server.core import Segment, TranscriptionJob
from server.engines.whisper import bounded, fallback
from server.engines.whisper.fallback import WHISPER, Hearing
from server.engines.whisper.handler import WhisperHandler, create
from server.english.word_errors.rate import word_error_rate
from server.english.word_errors.spelling import in_one_spelling

MODEL = "whisper-tiny-en"
MODES: dict[str, dict[str, Any]] = {"low": {"beam_size": 1, "fallback": False}, "high": {"beam_size": 5, "vad": True}}
"""As in the model's config."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One hearing of a window. errors: words of the clip that it got wrong; 0 in recordings of several windows."""

    temperature: float
    tokens: int
    taken: bool
    errors: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A clip or recording in one mode. words: said in it; errors: of these, wrong; windows: the hearings of each."""

    kind: str
    mode: str
    audio: float
    words: int
    errors: int
    seconds: float
    windows: list[list[Rung]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Count:
    """A temperature's: windows heard at it, tokens decoded, how often it was taken, and the words that it won by that,
    against the hearing at temperature 0."""

    temperature: float
    heard: int
    tokens: int
    taken: int
    won: int


class Listener:
    def __init__(self, models_dir: Path) -> None:
        self._windows: list[tuple[Sequence[Hearing], Hearing]] = []
        options = {"path": str(models_dir / MODEL), "english_only": True}
        self._handler: WhisperHandler = create(options, watch=lambda *window: self._windows.append(window))

    def hear(self, kind: str, mode: str, sound: bytes, text: str) -> Heard:
        self._windows.clear()
        begun = time.perf_counter()
        reading = self._handler.read(TranscriptionJob(audio=sound, **MODES[mode]))
        heard = "".join(event.text for event in reading.run(None) if isinstance(event, Segment))
        seconds = time.perf_counter() - begun
        alone = len(self._windows) == 1
        return Heard(
            kind,
            mode,
            reading.facts.audio_seconds,
            len(in_one_spelling(text)),
            _errors(text, heard),
            seconds,
            [
                [
                    Rung(one.temperature, one.tokens, one is taken, _errors(text, one.text) if alone else 0)
                    for one in hearings
                ]
                for hearings, taken in self._windows
            ],
        )


def _errors(said: str, heard: str) -> int:
    return round(word_error_rate(said, heard) * len(in_one_spelling(said)))


def counts(heard: Iterable[Heard]) -> list[Count]:
    """Of each temperature of Whisper's."""
    windows = [window for one in heard for window in one.windows]
    found = []
    for temperature in WHISPER:
        rungs = [(window[0], rung) for window in windows for rung in window if rung.temperature == temperature]
        taken = [(first, rung) for first, rung in rungs if rung.taken]
        won = sum(first.errors - rung.errors for first, rung in taken)
        found.append(Count(temperature, len(rungs), sum(rung.tokens for _, rung in rungs), len(taken), won))
    return found


def show(heard: Sequence[Heard], console: Console) -> None:
    table = Table("", "mode", "audio, s", "word error rate, %", "seconds", "times low")
    for kind in dict.fromkeys(one.kind for one in heard):
        seconds: dict[str, float] = {}
        for mode in MODES:
            mine = [one for one in heard if (one.kind, one.mode) == (kind, mode)]
            seconds[mode] = sum(one.seconds for one in mine)
            rate = sum(one.errors for one in mine) / max(sum(one.words for one in mine), 1)
            audio = sum(one.audio for one in mine)
            times = seconds[mode] / seconds["low"]
            table.add_row(kind, mode, f"{audio:.0f}", f"{100 * rate:.1f}", f"{seconds[mode]:.2f}", f"{times:.2f}")
    console.print(table)
    table = Table("high at temperature", "windows heard", "tokens", "taken", "words won")
    for one in counts(one for one in heard if one.mode == "high"):
        table.add_row(*(str(value) for value in asdict(one).values()))
    console.print(table)


@contextmanager
def unbounded() -> Iterator[None]:
    """All temperatures of Whisper's fallback, until a hearing is good. The samples are chosen as in ours."""
    with (
        patch.object(fallback, "FIRST", inf),
        patch.object(fallback, "hopeless", lambda _: False),
        patch.object(bounded, "LADDER", WHISPER),
    ):
        yield


def run_fallback(
    clips: int, seconds: float, seed: int, *, whole: bool, models_dir: Path, output: Path, console: Console
) -> None:
    """Hear both modes by turns, show and keep. seconds: of each recording, 0 for none. whole: Whisper's own ladder,
    unbounded."""
    sounds = [(f"clips, {one.kind}", one.sound, one.text) for one in (items(clips, seed) if clips else ())]
    if seconds:
        made = (recording(kind, seconds, seed) for kind in KINDS)
        sounds += [(one.kind, as_wav(one.sound), one.text) for one in made]
    listener = Listener(models_dir)
    heard: list[Heard] = []
    with unbounded() if whole else nullcontext():
        for number, (kind, sound, text) in enumerate(sounds):
            for mode in reversed(MODES) if number % 2 else MODES:
                heard.append(listener.hear(kind, mode, sound, text))
                console.print(".", end="")
    console.print()
    show(heard, console)
    facts = {"clips": clips, "seconds": seconds, "seed": seed, "whole": whole}
    keep(output / "fallback.json", "fallback", {**facts, "heard": [asdict(one) for one in heard]})
    console.print(f"figures in {output / 'fallback.json'}")
