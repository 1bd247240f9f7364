"""Bytes of a text file to text."""

import codecs

from server.errors import UnreadableDocument

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY = "The file is no text: it holds bytes that no text has."
_ODD = bytes(set(range(32)) - set(b"\t\n\x0b\x0c\r\x1b"))
"""Control characters that a text file doesn't hold, but for a stray one."""


def decoded(data: bytes, declared: str | None = None) -> str:
    """By its byte order mark, else UTF-8, else as it declares, else Windows' Western one.

    declared: an encoding's name that the file gives itself. Raises UnreadableDocument for what is not text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if b"\x00" in data:
        raise UnreadableDocument(_BINARY)
    if len(data) - len(data.translate(None, _ODD)) > len(data) // 100 + 1:
        raise UnreadableDocument(_BINARY)
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if declared is not None:
        try:
            if codecs.lookup(declared)._is_text_encoding:
                return data.decode(declared, "replace")
        except (LookupError, UnicodeError, ValueError):
            pass
    text = data.decode("utf-8", "replace")
    beyond = len(text) - len(text.encode("ascii", "ignore"))
    if text.count("\ufffd") * 20 <= beyond:  # UTF-8 with a few broken places, as where it was cut
        return text
    return data.decode("cp1252", "replace")
