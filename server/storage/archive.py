"""A backup: one tar file with a manifest, made and read so that there is never half of one.

The manifest comes first: versions, and each file's length and SHA-256. Nothing of a file is used before all of it was
held against that.
"""

import fcntl
import hashlib
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

Facts = TypeVar("Facts")
MANIFEST = "manifest.json"
FORMAT = 1
MOST_MANIFEST = 1 << 20
PIECE = 1 << 20


class ArchiveError(Exception):
    """The backup can't be made or used. The message is for the operator."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """sagehold: the version that made it. schema: of the database. files: their bytes and SHA-256 by name."""

    sagehold: str
    schema: str
    created: str
    files: Mapping[str, tuple[int, str]]

    def to_json(self) -> bytes:
        files = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in self.files.items()}
        head = {"format": FORMAT, "sagehold": self.sagehold, "schema": self.schema, "created": self.created}
        return json.dumps({**head, "files": files}, indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest":
        """Raises ArchiveError."""
        try:
            told: Any = json.loads(text)
            if told["format"] != FORMAT:
                raise ArchiveError(f"it has the format {told['format']}; this sagehold reads {FORMAT}")
            files = {str(name): (int(one["bytes"]), str(one["sha256"])) for name, one in told["files"].items()}
            return cls(str(told["sagehold"]), str(told["schema"]), str(told["created"]), files)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise ArchiveError("its manifest is damaged") from error


@contextmanager
def snapshot(
    database: Path, beside: Path, look: Callable[[sqlite3.Connection], Facts]
) -> Iterator[tuple[BinaryIO, Facts]]:
    """A copy of an SQLite database as it is at one moment, while others write to it, and what `look` finds at it then.

    The copy has no name: a process that is killed leaves nothing of it behind. beside: its path for the moment in which
    SQLite opens it, and nobody else's. Raises sqlite3.Error, OSError.
    """
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "rb") as copy:
        try:
            target = sqlite3.connect(beside, isolation_level=None)
        except BaseException:
            beside.unlink()
            raise
        with closing(target):
            try:
                # It vanishes with this process, and needs no journal.
                target.execute("PRAGMA journal_mode=OFF")
                target.execute("PRAGMA synchronous=OFF")
                target.execute("PRAGMA user_version=1")  # SQLite opens the file no sooner
            finally:
                beside.unlink()
            uri = f"{database.as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)) as source:
                source.execute("BEGIN")
                found = look(source)
                source.backup(target)
        yield copy, found


def write(path: Path, sagehold: str, schema: str, files: Mapping[str, BinaryIO]) -> Manifest:
    """Write the archive under a name of its own, and give it `path` once all of it is on the disk. Mode 600.

    One that was killed leaves `.NAME.part` behind, which the next one replaces. Raises OSError.
    """
    manifest = Manifest(
        sagehold, schema, datetime.now(UTC).isoformat(timespec="seconds"), {n: _measure(f) for n, f in files.items()}
    )
    with part_of(path) as (draft, stream):
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
            text = manifest.to_json()
            archive.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
            for name, file in files.items():
                file.seek(0)
                archive.addfile(_member(name, manifest.files[name][0]), file)
        stream.flush()
        os.fsync(stream.fileno())
        draft.replace(path)
        sync_folder(path.parent)
    return manifest


@contextmanager
def part_of(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """The file that becomes `path`, and its name until then. Raises ArchiveError while another process makes it."""
    draft = path.with_name(f".{path.name}.part")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveError(f"another backup to {path} is under way") from None
        try:
            stream.truncate(0)
            os.fchmod(stream.fileno(), 0o600)
            yield draft, stream
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def read(path: Path, names: Mapping[str, bool], into: Path) -> Manifest:
    """Check the archive and extract it into the folder `into`. names: the files it may have, and whether it must.

    Raises ArchiveError for one that is damaged, incomplete or holds anything else; OSError.
    """
    try:
        with tarfile.open(path, mode="r:") as archive:
            first = archive.next()
            if first is None or first.name != MANIFEST or not first.isreg() or first.size > MOST_MANIFEST:
                raise ArchiveError("it is no backup of sagehold's")
            manifest = Manifest.from_json(_content(archive, first).read())
            if not set(manifest.files) <= set(names) or any(
                must and name not in manifest.files for name, must in names.items()
            ):
                raise ArchiveError("it holds other files than a backup does")
            missing = dict(manifest.files)
            while (member := archive.next()) is not None:
                if not member.isreg() or member.name not in missing:
                    raise ArchiveError("it holds other files than its manifest names")
                _extract(_content(archive, member), into / member.name, missing.pop(member.name))
            if missing:
                raise ArchiveError(f"{', '.join(sorted(missing))} is missing in it")
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError("it is no backup of sagehold's, or it is cut off") from error
    return manifest


def sync_folder(folder: Path) -> None:
    """Let names in a folder be on the disk, as far as its file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    content = archive.extractfile(member)
    assert content is not None  # it is a regular file
    return content  # type: ignore[return-value] # typeshed has it as IO[bytes]


def _measure(file: BinaryIO) -> tuple[int, str]:
    file.seek(0)
    digest = hashlib.sha256()
    size = 0
    while piece := file.read(PIECE):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _extract(content: BinaryIO, path: Path, expected: tuple[int, str]) -> None:
    digest = hashlib.sha256()
    size = 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while piece := content.read(PIECE):
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    if (size, digest.hexdigest()) != expected:
        raise ArchiveError(f"{path.name} in it is damaged: its SHA-256 is not the manifest's")
