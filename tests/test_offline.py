"""What is switched off before any library is imported."""

import os
import subprocess
import sys
from pathlib import Path

from server.offline import SWITCHES

SESSION = "import faster_whisper.vad as vad; vad.get_vad_model()"
"""A use of onnxruntime that never calls its disable_telemetry_events()."""


def begun(home: Path, switches: dict[str, str]) -> list[Path]:
    """What onnxruntime leaves in an empty home directory."""
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}  # without CI, which silences it by itself
    subprocess.run([sys.executable, "-c", SESSION], env=environment | switches, check=True, timeout=100)
    return list(home.rglob("*"))


def test_onnxruntime_reports_nothing(tmp_path: Path) -> None:
    assert begun(tmp_path / "home", SWITCHES) == []
