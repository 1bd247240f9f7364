"""Which installed voice speaks for a name: OpenAI's voice names, an installed voice's own id, or an error."""

from collections.abc import Mapping, Sequence

from server.errors import InvalidRequest

OPENAI_VOICES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "onyx",
    "nova",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)
"""The built-in voices of the OpenAI API, in its own order; a client may use any of them with any speech model."""


def known_names(installed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Every name that may be asked for → the id of the installed voice that answers to it.

    installed: voice id → the extra names its config gives it. The order is the installed voices' ids, then
    OpenAI's names, then names that only a config has. A voice's own id wins over another voice's claim on it; of
    two claims on a name the first counts; OpenAI names that no voice claims go to the first voice.
    """
    first = next(iter(installed))
    claims = {name: voice for voice in reversed(list(installed)) for name in installed[voice]}
    names = {voice: voice for voice in installed}
    for name in OPENAI_VOICES:
        names.setdefault(name, claims.get(name, first))
    for name in reversed(claims):
        names.setdefault(name, claims[name])
    return names


def resolve(voice: str, installed: Mapping[str, Sequence[str]]) -> str:
    """The id of the installed voice for `voice`, case ignored. Raises InvalidRequest, which lists the names."""
    names = known_names(installed)
    if voice in names:
        return names[voice]
    for name, target in names.items():
        if name.casefold() == voice.strip().casefold():
            return target
    raise InvalidRequest(
        f"The voice {_shown(voice)} does not exist. Voices: {', '.join(names)}.", param="voice", code="invalid_value"
    )


def _shown(voice: str) -> str:
    """The name as asked, fit for a message: short, and without what can't be encoded."""
    return repr(voice.encode("utf-8", "replace").decode()[:64])
