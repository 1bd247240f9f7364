"""The requirements of a lock: exact versions, the machines they are for, and the hashes of their files."""

import re
from dataclasses import dataclass

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


class LockError(Exception):
    """A lock that is not of the form that uv and pip-tools write."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One requirement. `hashes` are SHA-256 in hexadecimal."""

    name: str
    version: Version
    marker: Marker | None
    hashes: frozenset[str]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?=\s|$)")


def read(text: str) -> list[Pin]:
    """The pins of a lock's text, in its order. Raises LockError."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    logical = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [_pin(line) for line in logical if line.strip()]


def _pin(line: str) -> Pin:
    head = line.partition("--hash=")[0].strip()
    try:
        requirement = Requirement(head)
    except ValueError as error:
        raise LockError(f"{head!r} is no requirement: {error}") from None
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==" or "*" in specifiers[0].version:
        raise LockError(f"{head!r} is not pinned to one version")
    hashes = frozenset(_HASH.findall(line))
    if not hashes:
        raise LockError(f"{head!r} has no hash")
    name = canonicalize_name(requirement.name)
    return Pin(name, Version(specifiers[0].version), requirement.marker, hashes)
