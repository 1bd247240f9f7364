"""ZIP archives: the files in them, each under its name."""

from server.errors import UnreadableDocument
from server.knowledge.parsing import clean
from server.knowledge.parsing.bounds import OverBounds
from server.knowledge.parsing.dispatch import parse as parse_any
from server.knowledge.parsing.kinds import SOUND
from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.packed import Package
from server.knowledge.parsing.source import Source, suffix_of

_RUBBISH = ("__MACOSX/", ".DS_Store", "Thumbs.db")


class Unread:
    """Files within a file that are not read, and why: the text says so itself, since nothing else is kept of it."""

    def __init__(self) -> None:
        self._reasons: list[str] = []

    def read(self, name: str, source: Source, data: bytes, outline: Outline) -> bool:
        """Whether it was read. Raises UnreadableDocument for what ends the whole file: a bound that is reached."""
        shown = clean.line(name.replace("\\", "/"), 200)
        if suffix_of(name) in SOUND:
            self._reasons.append(f"{shown}: a recording.")
            return False
        member = source.member(name, data)
        try:
            parse_any(member, outline.under(shown))
        except OverBounds:
            raise
        except UnreadableDocument as error:
            self._reasons.append(f"{shown}: {error.message}")
            return False
        return True

    def put(self, outline: Outline) -> None:
        if self._reasons:
            outline.text("Files within it that were not read:\n" + "\n".join(self._reasons), lines=True)


def parse(source: Source, outline: Outline) -> None:
    unread = Unread()
    some = False
    with Package(source) as package:
        files = [info for info in package.files if not any(part in info.filename for part in _RUBBISH)]
        for number, info in enumerate(files, 1):
            # A link's target is its content; nothing is ever written, so no name can lead anywhere.
            if (info.external_attr >> 16) & 0o170000 == 0o120000:
                continue
            some |= unread.read(info.filename, source, package.read(info), outline)
            if source.depth == 0:
                source.progress(number, len(files))
    if not some:
        raise UnreadableDocument("The archive holds no file that can be read.")
    unread.put(outline)
