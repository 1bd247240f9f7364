"""What failed is said again at the end of a run."""

import subprocess
import sys
from pathlib import Path

from scripts import failed

TESTS = """
import pytest

@pytest.fixture
def broken():
    raise OSError("no such machine")

def test_good(): pass

@pytest.mark.parametrize("green", [12])
def test_bad(green):
    assert green > 30, "not green"

def test_never_begun(broken): pass

@pytest.mark.skip
def test_skipped(): assert False
"""


def test_each_failure_is_told_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    results = tmp_path / "results.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        "-c",
        "/dev/null",
    ]
    done = subprocess.run(
        [*command, "--junitxml", str(results), str(tmp_path)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    lines = failed.summary([results])
    names = [line for line in lines if not line.startswith(" ")]
    assert names == ["FAILED test_some::test_bad[12]", "FAILED test_some::test_never_begun"]
    first, second = "\n".join(lines).split(names[1])
    assert "assert 12 > 30" in first
    assert "not green" in first
    assert "no such machine" in second


def test_a_run_without_results_failed(tmp_path: Path) -> None:
    half = tmp_path / "half.xml"
    half.write_text("<testsuites><testsuite>")
    lines = failed.summary([tmp_path / "missing.xml", half])
    assert [line for line in lines if line.startswith("FAILED")] == ["FAILED missing", "FAILED half"]


def test_many_failures_are_named_and_cut(tmp_path: Path) -> None:
    told = "\n".join(f"line {number}" for number in range(100))
    case = f'<testcase classname="t" name="n"><failure>{told}</failure></testcase>'
    file = tmp_path / "many.xml"
    file.write_text(f"<testsuites>{case * 50}</testsuites>")
    lines = failed.summary([file])
    assert lines.count("FAILED t::n") == 50
    assert lines.count("    line 99") == failed.MOST
    assert "    line 74" not in lines
