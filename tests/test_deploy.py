"""What starts and stops the server elsewhere knows how long its end may take."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from server.settings import Settings

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "deploy" / "sagehold.service"
LONGEST = Settings.model_fields["shutdown_grace"].default + 15
"""Seconds from SIGTERM to the last process; 15 is what the setting's description promises."""


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser


def test_systemd_and_compose_wait_for_the_grace() -> None:
    service = unit()["Service"]
    assert float(service["TimeoutStopSec"]) >= LONGEST
    assert service["KillMode"] == "mixed"
    # A start without its database ends as one with a wrong setting does, and that one is up at a later try.
    assert service["Restart"] == "on-failure"
    assert "RestartPreventExitStatus" not in service
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert float(compose["services"]["server"]["stop_grace_period"].removesuffix("s")) >= LONGEST


def test_the_unit_in_the_documents_is_the_one_in_deploy() -> None:
    assert "deploy/sagehold.service" in (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = UNIT.read_text().replace(unit()["Service"]["ExecStart"].split()[0], sys.executable)
    text = text.replace("User=sagehold", "User=root").replace(
        "WorkingDirectory=/opt/sagehold", f"WorkingDirectory={ROOT}"
    )
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
