"""ZIP archives, of which nothing is unpacked before it is known how much it will be."""

import zipfile
import zlib
from types import TracebackType
from typing import Self

from server.errors import UnreadableDocument
from server.knowledge.parsing.source import Source

_WAYS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Package:
    """An archive whose members are within the bounds, by the sizes that it declares: zipfile reads no more of any.

    Raises UnreadableDocument on opening: damaged, encrypted, too many members or too large ones.
    """

    def __init__(self, source: Source) -> None:
        source.file.seek(0)
        try:
            self._archive = zipfile.ZipFile(source.file)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UnreadableDocument("The file is damaged.") from error
        self.files = [info for info in self._archive.infolist() if not info.is_dir()]
        self._names = {info.filename: info for info in self.files}
        sizes = [info.file_size for info in self.files]
        source.allowance.take(len(sizes), sum(sizes), max(sizes, default=0))
        for info in self.files:
            if info.flag_bits & 1:
                raise UnreadableDocument("The file is encrypted. Save it without a password.")

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def read(self, member: str | zipfile.ZipInfo) -> bytes:
        """Raises UnreadableDocument where it is missing, damaged, or packed in an unusual way."""
        info = self._names.get(member) if isinstance(member, str) else member
        if info is None:
            raise UnreadableDocument("The file is damaged: a part is missing.")
        if info.compress_type not in _WAYS:
            raise UnreadableDocument("A part of the file is packed in a way that is not read.")
        try:
            return self._archive.read(info)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise UnreadableDocument("The file is damaged: a part can't be unpacked.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()
