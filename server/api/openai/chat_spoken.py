"""Spoken answers of POST /chat/completions: what of the body asks for one, and `audio` in messages and deltas.

Formats, by the OpenAI API: wav, aac, mp3, flac, opus, and pcm16, which is 24 kHz mono without a header. A stream may
have any of them too: its pieces, decoded and put together, are one file.
"""

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from server.api.validation import Body
from server.core import Aloud, AudioChunk, AudioFormat, SpokenDelta
from server.errors import InvalidRequest

FORMATS: Mapping[str, AudioFormat] = {
    "wav": "wav",
    "aac": "aac",
    "mp3": "mp3",
    "flac": "flac",
    "opus": "opus",
    "pcm16": "pcm",
}


Modality = Literal["text", "audio"]


class CustomVoice(Body):
    """The OpenAI API's form for voices of one's own."""

    id: str


class AudioParam(Body):
    format: Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"] | None = None
    voice: str | CustomVoice = "alloy"

    def aloud(self) -> Aloud:
        """Raises InvalidRequest."""
        if self.format is None:
            raise InvalidRequest(
                "Missing required parameter: 'audio.format'.", param="audio.format", code="missing_required_parameter"
            )
        return Aloud(self.voice if isinstance(self.voice, str) else self.voice.id, FORMATS[self.format])


def aloud_of(modalities: Sequence[str], audio: AudioParam | None, *, n: int, logprobs: bool) -> Aloud | None:
    """How the answer is spoken; None for text alone, beside which settings of the sound are harmless.

    Raises InvalidRequest for what does not go together.
    """
    if "audio" not in modalities:
        return None
    if audio is None:
        raise InvalidRequest(
            "Missing required parameter: 'audio'. A spoken answer needs a format and a voice.",
            param="audio",
            code="missing_required_parameter",
        )
    if n > 1:
        raise InvalidRequest("One answer can be spoken at a time; n must be 1.", param="n", code="unsupported_value")
    if logprobs:
        raise InvalidRequest("A spoken answer has no log-probabilities.", param="logprobs", code="unsupported_value")
    return audio.aloud()


class SpokenAnswer:
    """The sound of one answer, whole or in pieces. expires_at: Unix seconds until which its id stands for its text.

    keep: called with the id, the text and `expires_at` once the answer is whole.
    """

    def __init__(self, expires_at: int, keep: Callable[[str, str, int], None]) -> None:
        self.id = f"audio_{os.urandom(16).hex()}"
        self._expires_at = expires_at
        self._keep = keep
        self._text: list[str] = []
        self._data = bytearray()
        self._sounded = False

    def message(self) -> dict[str, Any]:
        """What of a message is spoken: none of it where the model called a function. Call it once, at the end."""
        text = "".join(self._text)
        if not text:
            return {}
        if not self._data:  # there is no word in it
            return {"content": text}
        self._keep(self.id, text, self._expires_at)
        data = base64.b64encode(self._data).decode()
        return {
            "content": None,
            "audio": {"id": self.id, "data": data, "expires_at": self._expires_at, "transcript": text},
        }

    def add(self, event: SpokenDelta | AudioChunk) -> None:
        if isinstance(event, SpokenDelta):
            self._text.append(event.text)
        else:
            self._data += event.data

    def delta(self, event: SpokenDelta | AudioChunk) -> dict[str, Any] | None:
        """`audio` of a streamed delta: the id with the first piece; None for a piece without anything in it."""
        if isinstance(event, SpokenDelta):
            named = {} if self._text else {"id": self.id}
            self._text.append(event.text)
            return {"audio": {**named, "transcript": event.text}}
        if not event.data:
            return None
        self._sounded = True
        return {"audio": {"data": base64.b64encode(event.data).decode()}}

    def last(self) -> dict[str, Any] | None:
        """The delta behind the last piece; None where nothing was spoken."""
        if not self._sounded:
            return None
        self._keep(self.id, "".join(self._text), self._expires_at)
        return {"audio": {"expires_at": self._expires_at}}
