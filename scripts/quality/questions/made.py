"""What a maker of questions returns."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Made:
    """A prompt, the name of the checker that judges its answer, and what that expects."""

    prompt: str
    check: str
    expected: Any
