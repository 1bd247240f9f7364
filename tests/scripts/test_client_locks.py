"""What scripts/clients installs is pinned, and comes from wherever the installer is configured to look."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements/clients").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_has_a_version_and_a_hash(lock: Path) -> None:
    text = lock.read_text()
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links", text) == []
    packages = [line for line in text.replace("\\\n", " ").splitlines() if line and line[0].isalnum()]
    assert packages
    assert [line[:60] for line in packages if "==" not in line or "--hash=sha256:" not in line] == []


def test_every_environment_of_the_script_has_its_lock() -> None:
    script = (ROOT / "scripts/clients").read_text()
    (names,) = re.findall(r"cat << 'LIST'\n(.*?)\nLIST\n", script, re.DOTALL)
    assert {line.split()[0] for line in names.splitlines()} == {lock.stem for lock in LOCKS}


def test_npm_packages_are_pinned_by_hash_and_name_no_registry() -> None:
    lock = json.loads((ROOT / "tests/clients/node/package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert [name for name, package in packages.items() if "integrity" not in package or "resolved" in package] == []
