"""What scripts/setup chooses, installs and says, in a tree of its own with stand-ins for uv and the driver."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

UV = """#!/usr/bin/env bash
echo "$*" >> uv.log
[[ $1 != venv ]] || { mkdir -p .venv/bin && ln -s "$STAND_IN_PYTHON" .venv/bin/python; }
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A clone with locks of one package; uv only writes down what it was asked for."""
    root = tmp_path / "a clone"
    for folder in ("scripts", "requirements", "server/engines", ".cache"):
        (root / folder).mkdir(parents=True)
    shutil.copy(REPOSITORY / "scripts/setup", root / "scripts")
    program(root / "scripts/uv", UV)
    program(root / "scripts/find-links", "#!/bin/sh\necho torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl\n")
    (root / "pyproject.toml").touch()
    (root / "requirements/cuda12.txt").touch()
    for lock, version in (("cuda", "2.13.0"), ("cpu", "2.13.0+cpu")):
        text = (
            f"torch=={version} ; python_full_version < '3.13' \\\n    --hash=sha256:00\n"
            "deprecated==1.3.1 ; python_full_version < '3.12' \\\n    --hash=sha256:01\n"
            "deprecated==3.0.1 ; python_full_version >= '3.12' \\\n    --hash=sha256:02\n"
        )
        (root / f"requirements/{lock}.txt").write_text(text)
    return root


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def setup(root: Path, *arguments: str, driver: str = "") -> subprocess.CompletedProcess[str]:
    """`driver`: what server/engines/devices/driver.py prints."""
    (root / "server/engines/devices").mkdir(parents=True, exist_ok=True)
    (root / "server/engines/devices/driver.py").write_text(f"print({driver!r}, end='')\n")
    python = f"{root.parent}/python{sys.version_info.major}.{sys.version_info.minor}"
    if not os.path.lexists(python):
        # The version is what the locks are made for, whatever these tests run on.
        program(
            Path(python),
            f'#!/bin/sh\ncase $* in *version_info\\[:2\\]*) echo 3.11 ;; *) exec {sys.executable} "$@" ;; esac\n',
        )
    tools = root.parent / "tools"
    tools.mkdir(exist_ok=True)
    program(tools / "df", "#!/bin/sh\necho size\necho disk 1 1 99999999 1% /\n")
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHON": python,
        "STAND_IN_PYTHON": sys.executable,
        "HOME": str(root.parent),
    }
    done = subprocess.run(
        [root / "scripts/setup", *arguments], capture_output=True, text=True, env=environment, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    return done


def lock_of(root: Path) -> str:
    lines = (root / "uv.log").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("pip sync")]
    lock = line.split()[-1]
    # CUDA 12's cuBLAS lies beside site-packages, where torch does not see it.
    assert any("--target .venv/cuda12" in line for line in lines) is (lock == "requirements/cuda.txt")
    return lock


@pytest.mark.parametrize(
    ("driver", "lock"),
    [("", "cpu"), ("0 13.0", "cpu"), ("1 13.0", "cuda"), ("8 12.8", "cuda")],
    ids=["no driver", "a driver without a GPU", "a GPU", "an old driver"],
)
def test_the_driver_chooses(tree: Path, driver: str, lock: str) -> None:
    setup(tree, driver=driver)
    assert lock_of(tree) == f"requirements/{lock}.txt"


@pytest.mark.parametrize("hardware", ["cuda", "cpu"])
def test_no_build_but_the_locked_one_is_installed(tree: Path, hardware: str) -> None:
    """2.13.0+cpu in a find-links folder satisfies torch==2.13.0, but not torch===2.13.0."""
    setup(tree, f"--{hardware}")
    assert "--constraint .cache/exact.txt" in (tree / "uv.log").read_text()
    torch, *others = (tree / ".cache/exact.txt").read_text().splitlines()
    assert torch == f"torch==={'2.13.0' if hardware == 'cuda' else '2.13.0+cpu'} ; python_full_version < '3.13'"
    assert others == [
        "deprecated===1.3.1 ; python_full_version < '3.12'",
        "deprecated===3.0.1 ; python_full_version >= '3.12'",
    ]


@pytest.mark.parametrize(
    ("hardware", "driver", "words"),
    [
        ("cpu", "2 13.0", "this machine has 2 NVIDIA GPU(s)"),
        ("cuda", "", "no NVIDIA driver answers here"),
        ("cuda", "0 13.0", "no NVIDIA driver answers here"),
        ("cuda", "1 12.8", "runs CUDA 12.8; the build for GPUs needs 13: driver 580 or newer"),
        ("cuda", "1 13.0", ""),
        ("cuda", "1", ""),
        ("cpu", "", ""),
    ],
)
def test_a_build_for_another_machine_is_said_before_it_is_fetched(
    tree: Path, hardware: str, driver: str, words: str
) -> None:
    warnings = [line for line in setup(tree, f"--{hardware}", driver=driver).stderr.splitlines() if "WARNING" in line]
    assert len(warnings) == bool(words)
    assert words in "".join(warnings)


@pytest.mark.parametrize("found", [True, False])
def test_the_browser_of_the_tests_is_looked_for_and_its_absence_stops_nothing(tree: Path, found: bool) -> None:
    program(tree / "scripts/browser", f"#!/bin/sh\ntouch asked\nexit {0 if found else 1}\n")
    (tree / "requirements/test.txt").touch()
    assert ("the tests of the pages can't run" in setup(tree, "--test", "--cpu").stderr) is not found
    assert (tree / "asked").exists()
    (tree / "asked").unlink()
    setup(tree, "--cpu")
    assert not (tree / "asked").exists(), "the server needs none"
