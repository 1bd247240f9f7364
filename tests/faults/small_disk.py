"""A command with a disk of its own that is full, small or read-only: a tmpfs in a mount namespace of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.served import REPOSITORY

SKIPPED = "no user namespaces here: a full disk and a read-only folder are NOT TESTED"


def available() -> bool:
    """Whether the system lets us mount a tmpfs in a namespace of our own."""
    try:
        return subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(not available(), reason=SKIPPED)


def on_disk(
    folder: Path, script: str, *, size: str = "64k", variables: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a shell script with a tmpfs of `size` at `folder`; `$SAGEHOLD` in it is the command."""
    folder.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGEHOLD_")}
    chosen = {"SAGEHOLD": f"{sys.executable} -m server", "DISK": str(folder), **(variables or {})}
    return subprocess.run(
        ["unshare", "-rm", "sh", "-ec", f'mount -t tmpfs -o size={size} tmpfs "$DISK"\n{script}'],
        cwd=REPOSITORY,
        env=kept | chosen,
        capture_output=True,
        text=True,
        timeout=120,
    )
