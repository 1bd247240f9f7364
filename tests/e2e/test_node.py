"""The OpenAI SDK for Node.js and the README's own programs against the real server."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import FOX
from tests.e2e.live import LiveServer
from tests.e2e.test_python_audio import words
from tests.readme import snippet

SUITE = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def node() -> str:
    """Node.js, with the SDK in place. In CI there is no excuse; elsewhere the tests are skipped, and say so."""
    found = shutil.which("node")
    if found is not None and (SUITE / "node_modules/openai").is_dir():
        return found
    reason = "NODE.JS OR ITS openai PACKAGE IS MISSING: scripts/setup --test brings the package; its SDK was not tested"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def run(folder: Path, *command: str, **environment: str) -> str:
    """What the program says; the test fails with it when the program does."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    ended = subprocess.run(
        command, cwd=folder, env=clean | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=200
    )  # fmt: skip
    output = ended.stdout.decode(errors="replace")
    assert ended.returncode == 0, output
    return output


def all_said(output: str, folder: Path) -> None:
    """Whether the README's program got every answer, and the right ones."""
    lines = [line for line in output.splitlines() if line.strip()]
    fox = next((place for place, line in enumerate(lines) if words(line) == words(FOX)), 0)
    assert fox >= 2, f"two answers, then what the fox does: {lines}"  # an answer may take more lines than one
    assert (folder / "fox.mp3").stat().st_size > 1000


@pytest.mark.parametrize("suite", ["sdk", "stateful", "asksage"])
def test_the_suites(server: LiveServer, node: str, suite: str) -> None:
    output = run(SUITE, node, "--test", f"{suite}.test.mjs", SAGEHOLD_URL=server.url, OPENAI_API_KEY=server.key)
    assert "\n# fail 0" in output or "\nℹ fail 0" in output
    assert "\n# skipped 0" in output or "\nℹ skipped 0" in output


def test_the_javascript_of_the_readme(server: LiveServer, node: str, tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(SUITE / "node_modules", target_is_directory=True)
    (tmp_path / "readme.mjs").write_text(snippet("javascript", base_url=server.url, key=server.key))
    all_said(run(tmp_path, node, "readme.mjs"), tmp_path)


def test_the_python_of_the_readme(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "readme.py").write_text(snippet("python", base_url=server.url, key=server.key))
    output = run(tmp_path, sys.executable, "readme.py")
    all_said(output, tmp_path)
    assert "{'mode': 'ultra'" in output.splitlines()[-1]
