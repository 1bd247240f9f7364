"""`scripts/check_locks`: ask the package index for the hashes of everything that the locks pin.

uv's own dry run is no such check: it says "would install" to a lock whose hashes belong to no file.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scripts.locks.check import one_hash_one_version, problems
from scripts.locks.index import File, Index, Unreachable, in_folder
from scripts.locks.pins import LockError, Pin, read
from scripts.locks.targets import LOCKS

ROOT = Path(__file__).resolve().parents[2]
STAMP = ROOT / ".cache" / "locks-checked.json"
KEPT = timedelta(days=7)
"""How long a good outcome is believed: an index takes files away, if seldom."""
NOT_REACHED = 75
"""Exit status where the index can't be asked (sysexits.h: EX_TEMPFAIL)."""


def pytorch_index_by_uv(pin: Pin) -> str | None:
    """The address of PyTorch's own index for processors, which uv knows; None: it can't be reached."""
    asked = subprocess.run(
        [
            *("scripts/uv", "pip", "compile", "-", "--no-deps", "--no-header", "--quiet", "--emit-index-annotation"),
            *("--torch-backend", "cpu", "--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_31"),
        ],
        input=f"{pin.name}=={pin.version}\n",
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "20"},
    )
    address = re.search(r"# from (\S+)", asked.stdout)
    return address[1] if asked.returncode == 0 and address else None


def main(
    arguments: Sequence[str] | None = None, pytorch_index: Callable[[Pin], str | None] = pytorch_index_by_uv
) -> int:
    """The command. pytorch_index: says where a local build of torch comes from."""
    parser = argparse.ArgumentParser(prog="scripts/check_locks", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "requirements", help="where the locks are")
    parser.add_argument("--again", action="store_true", help="ask, even if the same locks were right this week")
    options = parser.parse_args(arguments)
    texts = {name: (options.folder / name).read_text() for name in LOCKS if (options.folder / name).is_file()}
    if not texts:
        return _fail([f"there are no locks in {options.folder}"])
    try:
        locks = {name: read(text) for name, text in texts.items()}
    except LockError as error:
        return _fail([str(error)])
    addresses = _indexes(os.environ)
    key = hashlib.sha256(json.dumps([texts, addresses]).encode()).hexdigest()
    if not options.again and (day := _right_on(key)):
        print(f"check_locks: the same locks were right on {day}; --again asks anew")
        return 0
    if os.environ.get("UV_NO_INDEX") or not addresses:
        return _not_reached("pip's or uv's configuration allows none")
    try:
        wrong, remarks = asyncio.run(_check(locks, Index(addresses), pytorch_index))
    except Unreachable as error:
        return _not_reached(str(error))
    for remark in remarks:
        print(f"check_locks: {remark}", file=sys.stderr)
    if wrong:
        return _fail(wrong)
    count = sum(len(pins) for pins in locks.values())
    print(f"check_locks: {count} pins of {', '.join(locks)}: for each Python a wheel on the index has its hash")
    if not remarks:
        STAMP.parent.mkdir(exist_ok=True)
        STAMP.write_text(json.dumps({"key": key, "day": datetime.now(UTC).isoformat()}))
    return 0


async def _check(
    locks: Mapping[str, Sequence[Pin]], index: Index, pytorch_index: Callable[[Pin], str | None]
) -> tuple[list[str], list[str]]:
    """What is wrong, and what could not be verified or only otherwise."""
    files = await index.files(pin.name for pins in locks.values() for pin in pins if pin.version.local is None)
    wrong = one_hash_one_version(locks)
    remarks = []
    for lock, pins in locks.items():
        public = [pin for pin in pins if pin.version.local is None]
        wrong += [f"{lock}: {problem}" for problem in problems(public, LOCKS[lock], files)]
        remarks += [
            f"{lock}: {pin} was withdrawn by its authors (yanked)"
            for pin in public
            if any(file.yanked and file.sha256 in pin.hashes for file in files[pin.name])
        ]
        for pin in pins:
            if pin.version.local is None:
                continue
            local = await _local_build(pin, pytorch_index)
            if local is None:
                reason = "no find-links folder has it, and PyTorch's own index is out of reach"
                remarks.append(f"{lock}: NOT VERIFIED: {pin}: {reason}")
            else:
                wrong += [f"{lock}: {problem}" for problem in problems([pin], LOCKS[lock], {pin.name: local})]
    return wrong, remarks


async def _local_build(pin: Pin, pytorch_index: Callable[[Pin], str | None]) -> list[File] | None:
    """The files of torch's CPU build, which no package index has: from find-links or PyTorch's own. None: neither."""
    for place in filter(None, os.environ.get("UV_FIND_LINKS", "").split(",")):
        if found := in_folder(Path(place.removeprefix("file://")), pin.name, str(pin.version)):
            return found
    if address := pytorch_index(pin):
        try:
            return (await Index([address]).files([pin.name]))[pin.name]
        except Unreachable:
            pass
    return None


def _indexes(environment: Mapping[str, str]) -> list[str]:
    """The addresses that uv asks, in its order; scripts/pip-configuration has put pip's among them."""
    extra = (environment.get("UV_INDEX") or environment.get("UV_EXTRA_INDEX_URL") or "").split()
    default = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL") or ""
    # uv writes a named index as name=address.
    return [re.sub(r"^[\w-]+=(?=\w+:)", "", address) for address in [*extra, default] if address]


def _right_on(key: str) -> str | None:
    """The day on which these locks were found right, unless that is long ago."""
    try:
        stamp = json.loads(STAMP.read_text())
        when = datetime.fromisoformat(stamp["day"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return f"{when:%Y-%m-%d}" if stamp["key"] == key and datetime.now(UTC) - when < KEPT else None


def _fail(lines: Sequence[str]) -> int:
    for line in lines:
        print(f"check_locks: {line}", file=sys.stderr)
    return 1


def _not_reached(reason: str) -> int:
    print(f"check_locks: NOT CHECKED: the package index is out of reach ({reason})", file=sys.stderr)
    return NOT_REACHED


if __name__ == "__main__":
    sys.exit(main())
