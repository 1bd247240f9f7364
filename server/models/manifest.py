"""The list of a model folder's files, kept in the folder: sizes, sha256 and where they came from.

`manifest.json` is written last, into a folder that gets its final name by one rename. So a folder that has one was
complete once, and `problems()` says whether it still is: cheaply by size and time of change, or by reading it all.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

MANIFEST = "manifest.json"


class FileRecord(BaseModel):
    """One file as it was when the folder was made. size in bytes; mtime_ns as `os.stat` gives it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int
    sha256: str
    mtime_ns: int


class Manifest(BaseModel):
    """What a model folder must hold. Names are relative to the folder, with `/` between their parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    files: Mapping[str, FileRecord]

    @classmethod
    def of(cls, folder: Path, source: str) -> "Manifest":
        """Record every file under `folder` as it is now."""
        files = {
            path.relative_to(folder).as_posix(): _record(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path != folder / MANIFEST
        }
        return cls(source=source, files=files)

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """The folder's manifest; None where it has none or one that can't be read."""
        try:
            return cls.model_validate_json((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def write(self, folder: Path) -> None:
        """Put the manifest into `folder`, in one step."""
        temporary = folder / f".{MANIFEST}.{os.getpid()}"
        temporary.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        temporary.replace(folder / MANIFEST)

    def problems(self, folder: Path, *, thorough: bool = False) -> list[str]:
        """What is wrong with `folder`, one line a file; nothing if it is as recorded.

        A file of the right size and time of change is taken as unchanged; `thorough` reads every byte.
        """
        found = []
        for name, record in self.files.items():
            path = folder / name
            try:
                status = path.stat()
            except FileNotFoundError:
                found.append(f"{name}: missing")
                continue
            if status.st_size != record.size:
                found.append(f"{name}: {status.st_size} bytes, should be {record.size}")
            elif (thorough or status.st_mtime_ns != record.mtime_ns) and sha256_of(path) != record.sha256:
                found.append(f"{name}: damaged, its sha256 is not the recorded one")
        return found


def _record(path: Path) -> FileRecord:
    status = path.stat()
    return FileRecord(size=status.st_size, sha256=sha256_of(path), mtime_ns=status.st_mtime_ns)


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
