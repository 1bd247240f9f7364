"""How much time a request may take for how good an answer."""

from enum import StrEnum


class Quality(StrEnum):
    """How much time a request may take for how good an answer, least first; `auto` leaves the choice to the server."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    ULTRA = "ultra"

    @classmethod
    def of(cls, word: str) -> "Quality | None":
        """The mode that a client's word means, `standard` and `hd` of OpenAI's image clients included."""
        name = word.strip().lower()
        name = {"standard": "medium", "hd": "high"}.get(name, name)
        return next((mode for mode in cls if mode == name), None)


QUALITY_WORDS = "auto, low, medium, high or ultra (standard means medium, hd means high)"
