"""The pages' own logic, in Node.js: each tests/web/*.test.mjs. The pages need it tested, so Node.js has to be there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
SUITES = sorted(FOLDER.glob("*.test.mjs"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_the_pages_javascript(suite: Path) -> None:
    node = shutil.which("node")
    assert node is not None, (
        "Node.js is missing, so that the pages' JavaScript can't be tested (apt-get install nodejs)"
    )
    ended = subprocess.run(
        [node, "--test", suite],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHON": sys.executable},
    )
    assert ended.returncode == 0, ended.stdout
    assert "\n# fail 0" in ended.stdout or "\nℹ fail 0" in ended.stdout, ended.stdout
    assert "\n# pass 0\n" not in ended.stdout, "nothing was tested"
