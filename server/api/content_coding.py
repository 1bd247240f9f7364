"""Bodies with a content coding (RFC 9110, section 8.4): gzip and deflate are read, in bounded pieces."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from server.errors import InvalidRequest, UnsupportedMediaType

PIECE = 64 * 1024
"""Bytes that are decompressed at a time: a small body that stands for gigabytes ends at its limit."""
WINDOWS: Mapping[str, int] = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""The codings that are read, as zlib calls them."""


class Decoder(Protocol):
    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What the body's next chunk stands for. Raises InvalidRequest."""
        ...

    def end(self) -> None:
        """No chunk is left. Raises InvalidRequest where one is missing."""
        ...


def decoder(coding: str) -> Decoder:
    """coding: the header Content-Encoding; empty for none. Raises UnsupportedMediaType, whose answer names the codings
    that would be read (RFC 9110, section 15.5.16)."""
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return _Identity()
    if coding in WINDOWS:
        return _Decompression(WINDOWS[coding])
    raise UnsupportedMediaType(
        f"Unsupported content encoding: {coding[:80]}. Send gzip or deflate.",
        headers={"Accept-Encoding": "gzip, deflate"},
    )


class _Identity:
    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        yield chunk

    def end(self) -> None:
        pass


class _Decompression:
    def __init__(self, window: int) -> None:
        self._zlib = zlib.decompressobj(window)
        self._begun = False

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        piece = b""
        while chunk or len(piece) == PIECE:  # a full piece may have left some behind although all of the chunk is read
            self._begun = True
            if self._zlib.eof and chunk:
                raise InvalidRequest("The compressed body of your request goes on after its end.")
            try:
                piece = self._zlib.decompress(chunk, PIECE)
            except zlib.error:
                raise InvalidRequest("The compressed body of your request is damaged.") from None
            yield piece
            chunk = self._zlib.unconsumed_tail or self._zlib.unused_data

    def end(self) -> None:
        if self._begun and not self._zlib.eof:  # nothing at all is an empty body
            raise InvalidRequest("The compressed body of your request ends too early.")
