"""What `scripts/bench media` lets be spoken and heard: fixed texts, and recordings of them by a piper voice.

    python -m scripts.benchmarks.media_sounds VOICE.onnx FOLDER NAME…

makes recordings, each a WAV file and beside it the text that it says, in a process of its own: the voice's library
then holds no thread and no memory of whoever measures.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count as counting
from itertools import repeat
from pathlib import Path

import numpy as np

from scripts.benchmarks.sides import REPOSITORY, side_environment
from scripts.quality.clips import RATE, Joe, Samples, as_wav
from scripts.quality.sentences import PLAIN

SHORT = (
    "The baker opened his shop before sunrise and sold every loaf to the people on our street.",
    "My sister bought a small blue boat and sailed across the lake with two of her friends.",
    "The doctor asked him to rest for a week and to drink a glass of water each morning.",
    "A tall man in a gray coat waited at the station until the last train had gone.",
    "They carried the old table down the stairs and put it under the trees in the garden.",
    "The children built a wooden bridge over the stream so that nobody would get wet feet.",
    "Our teacher spoke about the moon and showed us how to draw it on a sheet of black paper.",
    "The farmer sold his horses in the spring and used the money to repair the roof of the barn.",
)
"""Texts of about five and a half seconds of speech each."""
TOGETHER = len(SHORT)
"""Recordings, texts or pictures that are asked for at once."""
PAUSE = 0.25
"""Seconds between two sentences of a recording."""
SEED = 17
MIDDLE, LONG, LONGEST = 36.0, 101.0, 300.0
"""Seconds of the other recordings; each is as near as whole sentences come to it."""
GREETING = "Here is the news."
"""What a long text begins with: a voice that speaks sentence by sentence has this one soon."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording: the bytes of a WAV file, their length in seconds, and what is said in it."""

    file: Path
    data: bytes
    seconds: float
    text: str


def long_text() -> str:
    """About LONG seconds of speech."""
    return " ".join([GREETING, *PLAIN[:28]])


def recordings(voice: Path, folder: Path, names: Iterable[str]) -> Mapping[str, Sound]:
    """Make those of these names: short-0 to short-7, middle-0 to middle-7, long, longest, and again, which is short-0
    over and over. Only what they need is spoken, which takes a while."""
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    command = [sys.executable, "-m", "scripts.benchmarks.media_sounds", str(voice), str(folder), *wanted]
    environment = {**side_environment(None), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, env=environment, check=True)
    return {file.stem: _read(file) for file in sorted(folder.glob("*.wav"))}


def _read(file: Path) -> Sound:
    data = file.read_bytes()
    return Sound(file, data, (len(data) - 44) / 2 / RATE, file.with_suffix(".txt").read_text())


def joined(spoken: Iterable[Samples], seconds: float) -> tuple[Samples, int]:
    """As many of the sentences, from the first, as come nearest to `seconds`, at least one; and how many those are."""
    pause = np.zeros(round(PAUSE * RATE))
    sentences = iter(spoken)
    sound, count = next(sentences), 1
    for sentence in sentences:
        longer = np.concatenate([sound, pause, sentence])
        if abs(longer.size / RATE - seconds) > abs(sound.size / RATE - seconds):
            break
        sound, count = longer, count + 1
    return sound, count


def main() -> None:
    voice, folder, names = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    folder.mkdir(exist_ok=True)
    joe = Joe(voice, SEED)

    @cache
    def spoken(place: int) -> Samples:
        return joe.say(PLAIN[place], 1.0)

    def from_sentence(first: int, seconds: float) -> tuple[Samples, str]:
        order = (number % len(PLAIN) for number in counting(first))
        sound, count = joined(map(spoken, order), seconds)
        return sound, " ".join(PLAIN[(first + number) % len(PLAIN)] for number in range(count))

    for name in names:
        kind, _, number = name.partition("-")
        match kind:
            case "short":
                text = SHORT[int(number)]
                sound = joe.say(text, 1.0)
            case "middle":
                sound, text = from_sentence(11 * int(number), MIDDLE)
            case "long":
                sound, text = from_sentence(0, LONG)
            case "longest":
                sound, text = from_sentence(0, LONGEST)
            case "again":
                sound, times = joined(repeat(joe.say(SHORT[0], 1.0)), LONG)
                text = " ".join([SHORT[0]] * times)
            case _:
                sys.exit(f"there is no recording {name}")
        (folder / f"{name}.wav").write_bytes(as_wav(sound))
        (folder / f"{name}.txt").write_text(text)


if __name__ == "__main__":
    main()
