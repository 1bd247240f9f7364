"""The Pythons and platforms that the locks are made for."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags

GLIBC = 31
"""The oldest C library (2.31: Debian 11, Ubuntu 20.04) that an installation may have."""


@dataclass(frozen=True)
class Target:
    """CPython 3.`minor` on Linux with x86-64."""

    minor: int

    def __str__(self) -> str:
        return f"Python 3.{self.minor}"

    @cached_property
    def tags(self) -> frozenset[Tag]:
        """The wheels that can be installed."""
        version, interpreter, platforms = (3, self.minor), f"cp3{self.minor}", list(_platforms())
        return frozenset(cpython_tags(version, abis=[interpreter], platforms=platforms)) | frozenset(
            compatible_tags(version, interpreter=interpreter, platforms=platforms)
        )

    def wants(self, marker: Marker | None) -> bool:
        """Whether a requirement with this marker is installed."""
        return marker is None or marker.evaluate(
            {
                "implementation_name": "cpython",
                "os_name": "posix",
                "platform_machine": "x86_64",
                "platform_python_implementation": "CPython",
                "platform_system": "Linux",
                "python_full_version": f"3.{self.minor}.0",
                "python_version": f"3.{self.minor}",
                "sys_platform": "linux",
            }
        )


LOCKS = {
    "cpu.txt": (Target(11),),
    "cuda.txt": (Target(11), Target(12)),
    "cuda12.txt": (Target(11), Target(12)),
    "test.txt": (Target(11),),
    "models.txt": (Target(11), Target(12)),
    "quality.txt": (Target(11),),
    "retrieval.txt": (Target(11),),
    "openapi.txt": (Target(11),),
    "uv.txt": (Target(11), Target(12), Target(13)),
}
"""Each lock of requirements/, and what it is made for (scripts/lock, scripts/setup)."""


def _platforms() -> Iterator[str]:
    """Platform tags, the best first (PEP 600; the older names are its aliases)."""
    aliases = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    for minor in range(GLIBC, 4, -1):
        yield f"manylinux_2_{minor}_x86_64"
        if minor in aliases:
            yield f"{aliases[minor]}_x86_64"
    yield "linux_x86_64"
