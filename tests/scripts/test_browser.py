"""scripts/browser finds a chromium, or brings Debian's, with stand-ins for all of the system's programs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

APT = """#!/bin/bash
echo "$*" >> apt.log
[[ $1 == update ]] && { touch updated; exit; }
[[ -e updated ]] || exit 100
printf '#!/bin/sh\\n' > tools/chromium
chmod +x tools/chromium
"""


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def browser(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    for name in ("bash", "touch", "chmod", "env"):
        found = shutil.which(name)
        assert found is not None
        if not (folder / "tools" / name).exists():
            (folder / "tools").mkdir(exist_ok=True)
            (folder / "tools" / name).symlink_to(found)
    return subprocess.run(
        [folder / "tools/bash", REPOSITORY / "scripts/browser"],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": str(folder / "tools"), **environment},
    )


def test_the_systems_own_is_taken(tmp_path: Path) -> None:
    there = program(tmp_path / "tools/chromium")
    assert browser(tmp_path).stdout == f"{there}\n"
    named = program(tmp_path / "elsewhere")
    assert browser(tmp_path, CHROMIUM=str(named)).stdout == f"{named}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may install packages")
def test_where_there_is_none_debians_is_brought_also_if_its_lists_are_old(tmp_path: Path) -> None:
    program(tmp_path / "tools/apt-get", APT)
    ended = browser(tmp_path)
    assert (ended.returncode, ended.stdout) == (0, f"{tmp_path / 'tools/chromium'}\n")
    asked = (tmp_path / "apt.log").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["install", "update", "install"]
    assert all("chromium" in line for line in asked if line.startswith("install"))


def test_where_none_can_be_brought_it_says_what_to_do(tmp_path: Path) -> None:
    ended = browser(tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "apt-get install chromium" in ended.stderr
