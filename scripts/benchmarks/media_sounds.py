"""What `scripts/bench media` lets be spoken and heard: fixed texts, and recordings of them by a piper voice.

    python -m scripts.benchmarks.media_sounds VOICE.onnx FOLDER

makes the recordings, each a WAV file and beside it the text that it says, in a process of its own: the voice's library
then holds no thread and no memory of whoever measures.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.benchmarks.sides import REPOSITORY, side_environment
from scripts.quality.clips import RATE, Joe, Samples, as_wav
from scripts.quality.sentences import PLAIN

TOGETHER = 8
"""Recordings, texts or pictures that are asked for at once."""
PAUSE = 0.25
"""Seconds between two sentences of a recording."""
SEED = 17
SHORT, MIDDLE, LONG, LONGEST = 5.5, 36.0, 101.0, 300.0
"""Seconds of the recordings; each is as near as whole sentences come to it."""
GREETING = "Here is the news."
"""What a long text begins with: a voice that speaks sentence by sentence has this one soon."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording: the bytes of a WAV file, their length in seconds, and what is said in it."""

    file: Path
    data: bytes
    seconds: float
    text: str


def short_text(number: int) -> str:
    """Two sentences, about SHORT seconds of speech; other ones for each of TOGETHER numbers."""
    return " ".join(PLAIN[2 * number : 2 * number + 2])


def long_text() -> str:
    """About LONG seconds of speech."""
    return " ".join([GREETING, *PLAIN[:28]])


def recordings(voice: Path, folder: Path) -> Mapping[str, Sound]:
    """Make them all: short-0 to short-7, middle-0 to middle-7, long, longest, and again, which
    is short-0 over and over."""
    command = [sys.executable, "-m", "scripts.benchmarks.media_sounds", str(voice), str(folder)]
    environment = {**side_environment(None), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, env=environment, check=True)
    return {file.stem: _read(file) for file in sorted(folder.glob("*.wav"))}


def _read(file: Path) -> Sound:
    data = file.read_bytes()
    return Sound(file, data, (len(data) - 44) / 2 / RATE, file.with_suffix(".txt").read_text())


def joined(spoken: Sequence[Samples], seconds: float) -> tuple[Samples, int]:
    """As many of the sentences, from the first, as come nearest to `seconds`, at least one; and how many those are."""
    pause = np.zeros(round(PAUSE * RATE))
    sound, count = spoken[0], 1
    for sentence in spoken[1:]:
        longer = np.concatenate([sound, pause, sentence])
        if abs(longer.size / RATE - seconds) > abs(sound.size / RATE - seconds):
            break
        sound, count = longer, count + 1
    return sound, count


def main() -> None:
    voice, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    joe = Joe(voice, SEED)
    spoken = [joe.say(sentence, 1.0) for sentence in PLAIN]

    def keep(name: str, first: int, seconds: float) -> None:
        order = [(first + place) % len(PLAIN) for place in range(2 * len(PLAIN))]
        sound, count = joined([spoken[place] for place in order], seconds)
        (folder / f"{name}.wav").write_bytes(as_wav(sound))
        (folder / f"{name}.txt").write_text(" ".join(PLAIN[place] for place in order[:count]))

    for number in range(TOGETHER):
        keep(f"short-{number}", 2 * number, SHORT)
        keep(f"middle-{number}", 11 * number, MIDDLE)
    keep("long", 0, LONG)
    keep("longest", 0, LONGEST)
    first, count = joined(spoken, SHORT)
    again, times = joined([first] * 100, LONG)
    (folder / "again.wav").write_bytes(as_wav(again))
    (folder / "again.txt").write_text(" ".join([" ".join(PLAIN[:count])] * times))


if __name__ == "__main__":
    main()
