"""Speech samples in, the bytes of an audio file out, as they become ready: one `AudioEncoder` a stream.

Everything is 24 kHz mono, as the OpenAI API's speech is. Nothing is ever seeked back to, so that the bytes can
leave while the rest is still being spoken:

- mp3: constant bit rate without the Xing header, which would need the total length.
- opus: Ogg pages closed every 100 ms of audio rather than every second (RFC 7845).
- aac: ADTS frames (ISO 13818-7), each of which stands alone.
- flac: STREAMINFO with 0, "unknown", as the total of samples (RFC 9639, 8.2).
- wav: a header whose RIFF and data sizes are 0xFFFFFFFF. A size of 0 would be read as silence by strict readers
  (Python's wave), a guess would cut the audio or lie in every player; FFmpeg writes and reads this value for streams,
  and wave reads such a file to its end, though it reports 2**31 - 1 frames.
- pcm: signed 16-bit little-endian samples and nothing else.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from numpy.typing import NDArray

from server.core import AudioFormat

RATE = 24_000
"""Samples a second of everything that leaves."""


@dataclass(frozen=True, slots=True)
class _Codec:
    """How FFmpeg makes a format. sample: the encoder's sample format; bit_rate in bit/s, None where lossless."""

    container: str
    encoder: str
    sample: str
    bit_rate: int | None = None
    options: dict[str, str] = field(default_factory=dict)


_CODECS: dict[str, _Codec] = {
    "mp3": _Codec("mp3", "libmp3lame", "fltp", 96_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": _Codec("ogg", "libopus", "flt", 48_000, {"page_duration": "100000"}),
    "aac": _Codec("adts", "aac", "fltp", 96_000),
    "flac": _Codec("flac", "flac", "s16"),
}


class AudioEncoder:
    """Float samples at `source_rate` → bytes of one file of `audio_format`, which are complete after `finish`.

    Not thread-safe. A context manager: leaving it before `finish` drops what is in the encoder.
    """

    def __init__(self, audio_format: AudioFormat, source_rate: int) -> None:
        self._source_rate = source_rate
        self._fed = 0
        self._sink = _Sink()
        self._container: Any = None
        self._stream: Any = None
        codec = _CODECS.get(audio_format)
        if codec is None:
            if audio_format == "wav":
                self._sink.write(wav_header())
        else:
            self._container = av.open(self._sink, "w", format=codec.container, options=codec.options)
            self._stream = self._container.add_stream(codec.encoder, rate=RATE)
            self._stream.codec_context.layout = "mono"
            self._stream.codec_context.format = codec.sample
            if codec.bit_rate is not None:
                self._stream.codec_context.bit_rate = codec.bit_rate
        self._resampler = av.AudioResampler(format=codec.sample if codec else "s16", layout="mono", rate=RATE)

    def feed(self, samples: NDArray[np.float32]) -> bytes:
        """Take samples (shape [n], -1 to 1) and return the bytes that are ready, perhaps none."""
        if not samples.size:
            return b""
        plane = np.ascontiguousarray(samples, dtype=np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(plane, format="flt", layout="mono")
        frame.sample_rate = self._source_rate
        frame.time_base = Fraction(1, self._source_rate)
        frame.pts = self._fed
        self._fed += plane.size
        self._encode(self._resampler.resample(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        """The last bytes: what the resampler and the encoder still held, and the container's end."""
        if self._fed:
            self._encode(self._resampler.resample(None))
        if self._container is not None:
            self._mux(self._stream.encode(None))
        self.close()
        return self._sink.take()

    def close(self) -> None:
        """Free the encoder. Safe to call twice."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _encode(self, frames: Iterable[Any]) -> None:
        for frame in frames:
            if self._container is not None:
                self._mux(self._stream.encode(frame))
            else:
                # A plane's buffer may be longer than its samples, for alignment.
                self._sink.write(frame.to_ndarray().astype("<i2", copy=False).tobytes())

    def _mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            self._container.mux(packet)


class _Sink:
    """A file for PyAV that can't be seeked in: bytes wait here until they are taken."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


def wav_header(rate: int = RATE) -> bytes:
    """The 44 bytes before s16le mono samples of unknown number (RIFF WAVE, format tag 1)."""
    unknown = 0xFFFFFFFF
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", unknown, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", unknown
    )
