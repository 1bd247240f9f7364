"""The list of a model folder's files."""

import os
import subprocess
import sys
from pathlib import Path

from server.models.manifest import Manifest

WRITE = r"""
import sys
from pathlib import Path
from server.models.manifest import Manifest
Manifest.of(Path(sys.argv[1]), "M\u00fcller").write(Path(sys.argv[1]))
"""


def test_it_is_utf_8_in_every_locale(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1")
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], env=os.environ | ascii_only, check=True)
    assert Manifest.read(tmp_path) == Manifest.of(tmp_path, "Müller")
