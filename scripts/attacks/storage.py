"""Faults of the disk, the database and the secret: at the start, under the running server, and in backups.

python -m scripts.attacks.storage [--quick]
"""

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from scripts.attacks.row import Row
from scripts.attacks.target import REPOSITORY, Target, fake_models, served

ASK: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "hello there"}], "max_tokens": 5}
WAITING = 20
"""Chats that wait for a locked database."""
LONGEST = 8.0
"""Seconds that any of them may take: one wait of three seconds, and the machine's own work."""
NOTICED = 5.0
"""Seconds until `/ready` must tell of a database that is gone."""


async def rows(folder: Path, *, quick: bool = False) -> AsyncIterator[Row]:
    """Every attack's row. quick: a shorter lock and fewer requests beside a backup."""
    configs = fake_models(folder)
    for row in await asyncio.to_thread(_starts, folder, configs):
        yield row
    yield await asyncio.to_thread(_commands_elsewhere, folder)
    with served(folder / "running", configs=configs) as target:
        async for row in _running(target, hold=6 if quick else 50, requests=100 if quick else 500):
            yield row


# ------------------------------------------------------------ at the start


def _garbled(data: Path) -> None:
    (data / "sagehold.db").write_bytes(os.urandom(50_000))


def _truncated(data: Path) -> None:
    whole = (data / "sagehold.db").read_bytes()
    (data / "sagehold.db").write_bytes(whole[: len(whole) // 3])


def _empty(data: Path) -> None:
    (data / "sagehold.db").write_bytes(b"")


def _gone(data: Path) -> None:
    (data / "sagehold.db").unlink()


def _foreign(data: Path) -> None:
    (data / "sagehold.db").unlink()
    with closing(sqlite3.connect(data / "sagehold.db")) as other, other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")


def _folder(data: Path) -> None:
    (data / "sagehold.db").unlink()
    (data / "sagehold.db").mkdir()


def _newer(data: Path) -> None:
    with closing(sqlite3.connect(data / "sagehold.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")


def _no_secret(data: Path) -> None:
    (data / "keys.secret").unlink()


def _foreign_secret(data: Path) -> None:
    (data / "keys.secret").write_text("ab" * 32)


def _cut_secret(data: Path) -> None:
    (data / "keys.secret").write_text("ab")


def _nothing(_data: Path) -> None:
    pass


FAULTS: Mapping[str, tuple[Callable[[Path], None], Mapping[str, str]]] = {
    "a garbled database": (_garbled, {}),
    "a truncated database": (_truncated, {}),
    "an empty database": (_empty, {}),
    "a deleted database": (_gone, {}),
    "another program's database": (_foreign, {}),
    "a folder in the database's place": (_folder, {}),
    "a newer database": (_newer, {}),
    "a lost keys.secret": (_no_secret, {}),
    "a foreign keys.secret": (_foreign_secret, {}),
    "a damaged keys.secret": (_cut_secret, {}),
    "a database URL without an async driver": (_nothing, {"DATABASE_URL": "postgresql://u:word@127.0.0.1/n"}),
    "a PostgreSQL that is not there": (_nothing, {"DATABASE_URL": "postgresql+asyncpg://u:word@127.0.0.1:1/n"}),
    "a limits URL of no known kind": (_nothing, {"LIMITS_URL": "memcached://127.0.0.1"}),
    "a Redis that is not there": (_nothing, {"LIMITS_URL": "redis://:word@127.0.0.1:1/0"}),
}
DISKS = {
    "a full disk": 'dd if=/dev/zero of="$DISK/fill" bs=4k 2>/dev/null || true',
    "a read-only folder": 'cp -r "$FROM" "$DISK/data"; mount -o remount,ro "$DISK"',
}
"""What is done to a small disk of its own before the start."""


def _starts(folder: Path, configs: Path) -> list[Row]:
    """Every fault of a start, on a copy of one good data folder."""
    with served(folder / "good", configs=configs):
        pass
    found = []
    for fault, (spoil, settings) in FAULTS.items():
        place = folder / fault.replace(" ", "-")
        shutil.copytree(folder / "good" / "data", place)
        spoil(place)
        variables = {"DATA_DIR": str(place), "MODEL_CONFIGS": str(configs), **settings}
        found.append(_row(f"start with {fault}", _end(["-m", "server", "serve"], variables)))
    found += [_on_disk(folder, configs, fault, script) for fault, script in DISKS.items()]
    return found


def _on_disk(folder: Path, configs: Path, fault: str, script: str) -> Row:
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    shell = f'mount -t tmpfs -o size=2m tmpfs "$DISK"\n{script}\n"$PYTHON" -m server serve'
    variables = {"DATA_DIR": str(disk / "data"), "MODEL_CONFIGS": str(configs)}
    more = {"DISK": str(disk), "FROM": str(folder / "good" / "data"), "PYTHON": sys.executable}
    if not _may_mount():
        return Row(f"start with {fault}", "not tried: no user namespaces here", "one line, exit 2", held=False)
    return _row(f"start with {fault}", _end(["unshare", "-rm", "sh", "-ec", shell], variables, more, python=False))


def _may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode == 0


def _end(
    words: list[str], settings: Mapping[str, str], more: Mapping[str, str] | None = None, *, python: bool = True
) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGEHOLD_")}
    chosen = {f"SAGEHOLD_{name}": value for name, value in {"PORT": "0", **settings}.items()}
    try:
        return subprocess.run(
            [sys.executable, *words] if python else words,
            check=False,
            cwd=REPOSITORY,
            env=kept | chosen | dict(more or {}),
            capture_output=True,
            text=True,
            timeout=60,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, -1, "", "it did not end within 60 s")


def _row(attack: str, done: "subprocess.CompletedProcess[str]") -> Row:
    """One line of the command's own, and exit code 2."""
    own = [line for line in done.stderr.splitlines() if line.startswith("sagehold: ")]
    held = done.returncode == 2 and len(own) == 1 and "Traceback" not in done.stderr and "word@" not in done.stderr
    said = own[0] if own else done.stderr[-200:]
    return Row(attack, f"exit {done.returncode}, {len(own)} line: {said[:160]}", "one line, exit 2", held)


def _commands_elsewhere(folder: Path) -> Row:
    place = folder / "nowhere"
    commands = (["keys", "list"], ["keys", "create"], ["accounts", "create", "x"], ["backup", str(folder / "b")])
    ends = [_end(["-m", "server", *words], {"DATA_DIR": str(place)}) for words in commands]
    clean = all(done.returncode == 2 and len(done.stderr.splitlines()) == 1 for done in ends)
    made = place.exists() or (folder / "b").exists()
    measured = (
        f"exit codes {', '.join(str(done.returncode) for done in ends)}; made: {'something' if made else 'nothing'}"
    )
    return Row(
        "4 commands in a folder without a server", measured, "one line, exit 2, nothing made", clean and not made
    )


# ------------------------------------------------------------ under the running server


async def _running(target: Target, hold: float, requests: int) -> AsyncIterator[Row]:
    path = target.folder / "data" / "sagehold.db"
    async with target.client() as client:
        key = await _payer(target)
        headers = {"Authorization": f"Bearer {key}"}

        async def chat() -> tuple[int, float]:
            asked = time.monotonic()
            answer = await client.post("/v1/chat/completions", json=ASK, headers=headers)
            return answer.status_code, time.monotonic() - asked

        yield await _locked(chat, path, hold)
        await _ready(client, 200, 30)
        yield await _full(target, chat)
        yield await _deleted(client, chat, path)
        await _ready(client, 200, 30)
        yield await _backed_up(target, chat, requests)


async def _payer(target: Target) -> str:
    variables = {"DATA_DIR": str(target.folder / "data")}
    for words in (["accounts", "create", "payer", "--credits", "100000"], ["keys", "create", "--account", "payer"]):
        done = await asyncio.to_thread(_end, ["-m", "server", *words], variables)
    return done.stdout.strip()


Chat = Callable[[], Any]


async def _locked(chat: Chat, path: Path, hold: float) -> Row:
    """WAITING chats at once, again and again, while another process keeps the database for `hold` seconds."""
    statuses: Counter[int] = Counter()
    longest = 0.0
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        until = time.monotonic() + hold
        while time.monotonic() < until:
            for status, took in await asyncio.gather(*(chat() for _ in range(WAITING))):
                statuses[status] += 1
                longest = max(longest, took)
            await asyncio.sleep(0.5)
        other.execute("COMMIT")
    measured = f"{dict(statuses)}, longest wait {longest:.1f} s"
    held = set(statuses) == {503} and longest < LONGEST
    return Row(
        f"database locked for {hold:g} s, {WAITING} chats at a time", measured, f"503 within {LONGEST:g} s", held
    )


async def _full(target: Target, chat: Chat) -> Row:
    """The server's files may not grow any more: to it, the disk is full."""
    data = target.folder / "data"
    pid, size = target.process.pid, (data / "sagehold.db-wal").stat().st_size
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, unlimited[1]))
    try:
        statuses = Counter([(await chat())[0] for _ in range(20)])
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    async with target.client() as client:
        back = await _ready(client, 200, 30)
    after, _ = await chat()
    check = await asyncio.to_thread(_end, ["-m", "server", "ledger", "check"], {"DATA_DIR": str(data)})
    measured = (
        f"{dict(statuses)}; with room again ready after {back:.1f} s and {after}; ledger check {check.returncode}"
    )
    held = set(statuses) <= {200, 503} and statuses[503] > 0 and after == 200 and check.returncode == 0
    return Row("disk full under the server", measured, "503, then 200 again, exact books", held)


async def _deleted(client: httpx.AsyncClient, chat: Chat, path: Path) -> Row:
    away = path.with_name("away")
    path.rename(away)  # noqa: ASYNC240 - a moment, on a disk of our own
    try:
        noticed = await _ready(client, 503, 30)
        statuses = Counter([(await chat())[0] for _ in range(20)])
    finally:
        away.rename(path)
    back = await _ready(client, 200, 30)
    measured = f"/ready 503 after {noticed:.1f} s, then {dict(statuses)}; put back: ready after {back:.1f} s"
    held = noticed < NOTICED and set(statuses) == {503}
    return Row("database file deleted under the server", measured, f"noticed in {NOTICED:g} s, nothing billed", held)


async def _ready(client: httpx.AsyncClient, status: int, most: float) -> float:
    """Seconds until /ready has the status; infinity where it has not within `most`."""
    begun = time.monotonic()
    while time.monotonic() - begun < most:
        if (await client.get("/ready")).status_code == status:
            return time.monotonic() - begun
        await asyncio.sleep(0.05)
    return float("inf")


async def _backed_up(target: Target, chat: Chat, requests: int) -> Row:
    """A backup in the midst of many requests: what is restored adds up, and knows the keys."""
    file, place = target.folder / "b.tar", target.folder / "restored"
    load = asyncio.gather(*(chat() for _ in range(requests)))
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    done = await asyncio.to_thread(
        _end, ["-m", "server", "backup", str(file)], {"DATA_DIR": str(target.folder / "data")}
    )
    took = time.monotonic() - begun
    statuses = Counter([status for status, _ in await load])
    variables = {"DATA_DIR": str(place)}
    restored = await asyncio.to_thread(_end, ["-m", "server", "restore", str(file)], variables)
    checked = await asyncio.to_thread(_end, ["-m", "server", "ledger", "check"], variables)
    codes = (done.returncode, restored.returncode, checked.returncode)
    measured = f"{dict(statuses)}; backup {took:.1f} s; exit codes of backup, restore, ledger check {codes}"
    held = codes == (0, 0, 0) and set(statuses) == {200}
    return Row(f"backup while {requests} requests run", measured, "all answered, the restored books add up", held)


async def _main(quick: bool) -> bool:
    import tempfile

    held = True
    with tempfile.TemporaryDirectory() as folder:
        async for row in rows(Path(folder), quick=quick):
            held = held and row.held
            print(f"{'held' if row.held else 'BROKE'}  {row.attack}: {row.measured} (wanted: {row.wanted})", flush=True)
    return held


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(_main("--quick" in sys.argv)) else 1)
