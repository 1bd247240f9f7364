"""The files of the pages in memory, each with its compressed form, under a path that changes with any of them."""

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

STATIC = Path(__file__).parent / "static"
TYPES: Mapping[str, str] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}
IMPORT = re.compile(r'(?:^|(?<=[;}]))(?:import|export)\b(?:[^;"]*?\bfrom)?\s*"(\.[^"]+)"', re.MULTILINE)
"""A static import of another file; the vendored files have several on a line. Bare names aren't there: see
scripts/vendor_pages.py."""
PLACE = "{assets}"
"""Stands in a page for the folder of its files."""
PRELOADS = re.compile(r"<!-- preloads((?: js/[\w/.-]+)*) -->")
"""Where the hints go that tell a browser of the modules it will need: those that the page's script imports, and those
of the modules named here, which the page loads first though it imports them late."""


@dataclass(frozen=True, slots=True)
class File:
    """data, and the same in gzip where that is smaller. etag: of the data; weak, since it stands for both."""

    data: bytes
    packed: bytes | None
    media_type: str
    etag: str

    @classmethod
    def of(cls, name: str, data: bytes) -> "File":
        kind = TYPES.get(PurePosixPath(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        # Without the time, so that the same file is the same bytes wherever it is compressed.
        packed = gzip.compress(data, 9, mtime=0)
        etag = f'W/"{hashlib.sha256(data).hexdigest()[:32]}"'
        return cls(data, packed if len(packed) < len(data) else None, kind, etag)


@dataclass(frozen=True, slots=True)
class PageFiles:
    """pages: by name, `home` and so on. assets: by path below the folder, whose name is a digest of them all: a file
    that a browser has kept is never one of another version."""

    folder: str
    pages: Mapping[str, File]
    assets: Mapping[str, File]


@cache
def page_files(root: Path = STATIC) -> PageFiles:
    """Reads and compresses all of them; a few dozen milliseconds, so not in the event loop."""
    sources = {
        path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }
    pages = {name.removesuffix(".html"): data for name, data in sources.items() if name.endswith(".html")}
    assets = {name: data for name, data in sources.items() if not name.endswith(".html")}
    digest = hashlib.sha256()
    for name, data in assets.items():
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    folder = digest.hexdigest()[:16]
    return PageFiles(
        folder,
        {name: File.of(f"{name}.html", _filled(data.decode(), folder, assets)) for name, data in pages.items()},
        {name: File.of(name, data) for name, data in assets.items()},
    )


def _filled(page: str, folder: str, assets: Mapping[str, bytes]) -> bytes:
    """The page with the folder's name, and a hint for each module that it begins with.

    Without the hints a browser finds the modules a level at a time, a round trip each.
    """
    (script,) = re.findall(r'<script type="module" src="\{assets\}/([^"]+)"', page)
    (late,) = PRELOADS.findall(page)
    begun = set[str]().union(*(imported(one, assets) for one in (script, *late.split())))
    hints = "\n".join(f'    <link rel="modulepreload" href="{PLACE}/{name}">' for name in sorted(begun - {script}))
    return PRELOADS.sub(hints.strip(), page).replace(PLACE, f"assets/{folder}").encode()


def imported(script: str, assets: Mapping[str, bytes]) -> set[str]:
    """The script and all that it imports statically, by their paths. Raises KeyError for a file that is not there."""
    found, left = set[str](), [script]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += imports(name, assets[name].decode())
    return found


def imports(name: str, text: str) -> Iterator[str]:
    """What a module imports statically, as paths below the folder."""
    for found in IMPORT.findall(text):
        parts: list[str] = []
        for part in PurePosixPath(name).parent.joinpath(found).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        yield "/".join(parts)
