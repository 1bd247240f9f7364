"""Disks that are full or read-only, as the commands and the server's start meet them: a line, exit code 2, no trace."""

from pathlib import Path

import anyio
import pytest

from server.accounts.administration import Administration
from server.settings import Settings
from tests.faults.small_disk import needs_mounts, on_disk

pytestmark = [pytest.mark.timeout(300), needs_mounts]

FILL = 'dd if=/dev/zero of="$DISK/fill" bs=4k 2>/dev/null || true'

READ_ONLY = 'cp -r "$FROM" "$DISK/data"; mount -o remount,ro "$DISK"; export SAGEHOLD_DATA_DIR="$DISK/data"'


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an account."""
    data = tmp_path_factory.mktemp("installed") / "data"

    async def fill() -> None:
        async with Administration.open(Settings(data_dir=data)) as administration:
            await administration.create_account("team")

    anyio.run(fill)
    return data


def ended(script: str, tmp_path: Path, size: str = "64k", **variables: str) -> str:
    """The one line with which the script's last command ended."""
    done = on_disk(tmp_path / "disk", script, size=size, variables={"SAGEHOLD_PORT": "0", **variables})
    assert done.returncode == 2, done.stderr
    *logged, line = done.stderr.splitlines()
    assert all(": no model is installed" in other for other in logged), done.stderr
    assert line.startswith("sagehold: ")
    return line


def test_a_start_on_a_full_disk(tmp_path: Path) -> None:
    line = ended(f'{FILL}\nSAGEHOLD_DATA_DIR="$DISK/data" $SAGEHOLD serve', tmp_path)
    assert f"SAGEHOLD_DATA_DIR: can't write in {tmp_path}/disk/data: No space left on device" in line


def test_a_start_on_a_disk_that_is_too_small_for_a_database(tmp_path: Path, installed: Path) -> None:
    line = ended('SAGEHOLD_DATA_DIR="$DISK/data" $SAGEHOLD serve', tmp_path, SAGEHOLD_MODEL_CONFIGS=str(tmp_path))
    assert f"The disk that holds the database {tmp_path}/disk/data/sagehold.db is full" in line


def test_a_start_in_a_read_only_folder(tmp_path: Path, installed: Path) -> None:
    script = f"{READ_ONLY}; $SAGEHOLD serve"
    line = ended(script, tmp_path, size="4m", FROM=str(installed))
    assert f"SAGEHOLD_DATA_DIR: can't write in {tmp_path}/disk/data: Read-only file system" in line


def test_commands_in_a_read_only_folder(tmp_path: Path, installed: Path) -> None:
    script = f"{READ_ONLY}; $SAGEHOLD keys list"
    line = ended(script, tmp_path, size="4m", FROM=str(installed))
    assert f"SAGEHOLD_DATA_DIR: can't write in {tmp_path}/disk/data: Read-only file system. Make it writable" in line


def test_a_command_that_writes_on_a_full_disk(tmp_path: Path, installed: Path) -> None:
    script = f'cp -r "$FROM" "$DISK/data"; {FILL}; SAGEHOLD_DATA_DIR="$DISK/data" $SAGEHOLD accounts grant team 5'
    line = ended(script, tmp_path, size="4m", FROM=str(installed))
    assert f"{tmp_path}/disk/data" in line
    assert "full" in line or "can't be" in line


def test_a_backup_to_a_full_disk_leaves_nothing(tmp_path: Path, installed: Path) -> None:
    script = 'SAGEHOLD_DATA_DIR="$FROM" $SAGEHOLD backup "$DISK/b.tar" || { code=$?; ls -A "$DISK"; exit $code; }'
    done = on_disk(tmp_path / "disk", script, variables={"FROM": str(installed)})
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"sagehold: {tmp_path}/disk/b.tar was not written: ")


def test_a_restore_to_a_full_disk_leaves_nothing(tmp_path: Path, installed: Path) -> None:
    script = (
        'SAGEHOLD_DATA_DIR="$FROM" $SAGEHOLD backup "$FILE" >/dev/null; export SAGEHOLD_DATA_DIR="$DISK/data"; '
        '$SAGEHOLD restore "$FILE" || { code=$?; ls -A "$DISK"; exit $code; }'
    )
    variables = {"FROM": str(installed), "FILE": str(tmp_path / "b.tar")}
    done = on_disk(tmp_path / "disk", script, variables=variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing was restored: " in done.stderr
    assert "No space left on device" in done.stderr
