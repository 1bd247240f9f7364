"""E-mails (RFC 5322): who wrote what to whom, and what is attached."""

import email
import email.policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from server.errors import UnreadableDocument
from server.knowledge.parsing import clean
from server.knowledge.parsing.decoding import decoded
from server.knowledge.parsing.formats.archive import Unread
from server.knowledge.parsing.formats.html import put_page
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.source import Source

_SHOWN = ("Subject", "From", "To", "Cc", "Date")


def parse(source: Source, outline: Outline) -> None:
    message = email.message_from_bytes(source.data(), policy=email.policy.compat32)
    if not any(name in message for name in _SHOWN):
        raise UnreadableDocument("The file is no e-mail: it has no subject, sender or date.")
    unread = Unread()
    _put(message, source, outline, unread)
    unread.put(outline)


def _put(message: Message, source: Source, outline: Outline, unread: Unread) -> None:
    headers = [f"{name}: {value}" for name in _SHOWN if (value := _header(message, name))]
    outline.heading(1, _header(message, "Subject"))
    outline.text("\n".join(headers), lines=True)
    waiting: list[Message] = [message]
    while waiting:
        part = waiting.pop()
        kind = part.get_content_type()
        source.allowance.take()
        if kind == "message/rfc822":
            source.allowance.enter(source.depth + len(outline.headings))
            for inner in _parts(part):
                below = outline.under("Forwarded message")
                _put(inner, source, below, unread)
                below.flush()
        elif part.is_multipart():
            parts = _parts(part)
            waiting.extend([_best(parts)] if kind == "multipart/alternative" and parts else reversed(parts))
        else:
            _put_part(part, kind, source, outline, unread)


def _put_part(part: Message, kind: str, source: Source, outline: Outline, unread: Unread) -> None:
    name = _decoded(part.get_filename() or "")
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    attached = part.get_content_disposition() == "attachment" or (name and kind not in ("text/plain", "text/html"))
    if attached:
        unread.read(name or "attachment", source, data, outline)
    elif kind == "text/html" and data.strip():
        inner = Outline(outline.sink, outline.headings)
        put_page(decoded(data, _charset(part)), inner)
        inner.flush()
    elif kind.startswith("text/"):
        outline.paragraphs(decoded(data, _charset(part)))


def _best(parts: list[Message]) -> Message:
    """Of the same text in several forms, the plain one, unless it is empty."""
    for part in parts:
        if part.get_content_type() == "text/plain" and str(part.get_payload()).strip():
            return part
    return parts[-1]


def _parts(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _charset(part: Message) -> str | None:
    return part.get_content_charset()


def _header(message: Message, name: str) -> str:
    return _decoded(message.get(name) or "")


def _decoded(value: object) -> str:
    """A header's words, encoded or not (RFC 2047)."""
    try:
        return clean.line(str(make_header(decode_header(str(value)))))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return clean.line(str(value))
