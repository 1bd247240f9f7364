"""Any audio or video file that FFmpeg's libraries read, to 16 kHz mono samples, as they are needed."""

import io
from collections.abc import Iterable, Iterator
from itertools import groupby
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt

from server.errors import InvalidRequest

RATE = 16_000
"""Samples a second, which is what Whisper hears."""

Samples = npt.NDArray[np.int16]

_GROUP = 1 << 16
"""Samples that are resampled at once: a call for each frame of 20 ms takes longer than the decoding."""

# Containers whose header gives the length of one audio track. MPEG audio is not among them: its length is an estimate
# and each of its frames stands alone, so half an mp3 is a valid mp3. Ogg gives no length ahead, and the sizes in WAV
# headers are wrong in every file that was written to a pipe.
_LENGTH_IN_HEADER = {"flac", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2"}


class AudioFile:
    """The best audio track of a file in memory, read from start to end, once. Close it, or use it with `with`.

    seconds: the track's length, summed up from its packets without decoding them, so that the first answer need not
      wait until hours of audio are decoded.
    """

    def __init__(self, data: bytes, *, max_seconds: float) -> None:
        """Raises InvalidRequest (param `file`): the file is empty, no media, without audio, cut off, or longer."""
        if not data:
            raise _refused("The audio file is empty.")
        with _open(data) as source:
            self.seconds, header_seconds = _measure(source, max_seconds)
        if header_seconds is not None and self.seconds < header_seconds - max(1.0, 0.02 * header_seconds):
            raise _refused(
                f"The audio file is cut off: it should last {header_seconds:.1f} seconds, "
                f"but holds only {self.seconds:.1f}."
            )
        self._max_seconds = max_seconds
        self._decoded = 0
        self._source = _open(data)
        self._blocks = _blocks(_frames(self._source, self._source.streams.best("audio")))
        self._rest: Samples = np.empty(0, np.int16)

    def read(self, count: int) -> Samples:
        """The next `count` samples; fewer only at the end of the track. Damaged packets are left out, as players do.

        Raises InvalidRequest if the file turns out to be longer than its packets said, and than is allowed.
        """
        parts = [self._rest]
        have = self._rest.size
        while have < count and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            have += block.size
            self._decoded += block.size
            if self._decoded > self._max_seconds * RATE:
                raise _too_long(self._max_seconds)
        samples = np.concatenate(parts)
        self._rest = samples[count:]
        return samples[:count]

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="file")


def _too_long(max_seconds: float) -> InvalidRequest:
    return _refused(f"The audio is longer than {max_seconds:g} seconds, the most that this model takes.")


def _open(data: bytes) -> Any:
    try:
        # No protocol at all: playlists and session descriptions (HLS, SDP, concat) are "containers" to FFmpeg too,
        # and would make this process open files and sockets of the client's choosing.
        return av.open(io.BytesIO(data), metadata_errors="ignore", options={"protocol_whitelist": ""})
    except av.FFmpegError as error:
        raise _refused(
            "The file is not an audio file that can be read: its format is unknown, or it is damaged or cut off."
        ) from error


def _measure(source: Any, max_seconds: float) -> tuple[float, float | None]:
    """The track's seconds by its packets, and by the container's header where that is reliable."""
    stream = source.streams.best("audio")
    if stream is None:
        raise _refused("The file holds no audio.")
    ticks = 0
    for packet in _packets(source, stream):
        ticks += packet.duration or 0
        # Checked on the way: a few kilobytes can hold days of silence.
        if ticks * stream.time_base > max_seconds:
            raise _too_long(max_seconds)
    header_seconds: float | None = None
    if source.format.name in _LENGTH_IN_HEADER:
        if stream.duration is not None:
            header_seconds = float(stream.duration * stream.time_base)
        elif source.duration is not None and len(source.streams) == 1:
            # Matroska gives the length of its longest track only.
            header_seconds = float(source.duration / av.time_base)
    seconds = float(ticks * stream.time_base)
    # Some codecs' packets have no duration until they are decoded; the header's then has to do.
    return (seconds, header_seconds) if ticks else (header_seconds or 0.0, None)


def _packets(source: Any, stream: Any) -> Iterator[Any]:
    """The track's packets, until the file ends or can't be read any further."""
    packets = source.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return  # the container breaks off here; whether that matters is the length's to say
        if packet is None:
            return
        yield packet


def _frames(source: Any, stream: Any) -> Iterator[Any]:
    for packet in _packets(source, stream):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _blocks(frames: Iterable[Any]) -> Iterator[Samples]:
    """Mono samples at `RATE`. A stream that changes its rate or layout midway gets a new resampler there."""
    for _, alike in groupby(frames, lambda frame: (frame.format.name, frame.layout.name, frame.sample_rate)):
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        waiting = av.AudioFifo()
        for frame in alike:
            frame.pts = None  # gaps and jumps in the time stamps are neither filled nor refused
            waiting.write(frame)
            if waiting.samples >= _GROUP:
                yield from _samples(resampler.resample(waiting.read()))
        if waiting.samples:
            yield from _samples(resampler.resample(waiting.read()))
        yield from _samples(resampler.resample(None))


def _samples(frames: Iterable[Any]) -> Iterator[Samples]:
    for frame in frames:
        yield frame.to_ndarray().reshape(-1)
