"""The results of `scripts/gpu_acceptance` on disk, and in docs/gpu.md."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from scripts.acceptance.check import Figure, Outcome, Status, judge
from scripts.acceptance.record import Record
from scripts.acceptance.report import BEGIN, END, markdown, refreshed, table
from scripts.acceptance.runner import ROOT

MACHINE: dict[str, Any] = {
    "processor": "Fast CPU",
    "cores": 16,
    "memory_gib": 128,
    "python": "3.12.1",
    "versions": {"torch": "2.11.0"},
    "date": "2026-11-25",
    "gpus": ["NVIDIA H100, 80 GiB"],
}
ORDER = ("card", "start", "kill")


def outcome(name: str, status: Status = Status.PASSED, **changes: Any) -> Outcome:
    return Outcome(name, status, figures=(Figure("a", 1.0),), **changes)


def kept(file: Path) -> dict[str, str]:
    return {one["name"]: one["status"] for one in json.loads(file.read_text())["checks"]}


def test_each_outcome_is_on_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    file = tmp_path / "new" / "results.json"
    record = Record(file, MACHINE, ORDER)
    record.add(outcome("kill"))
    assert kept(file) == {"kill": "passed"}
    record.add(outcome("card", Status.FAILED, reason="no driver"))
    assert list(kept(file).items()) == [("card", "failed"), ("kill", "passed")]
    assert [path.name for path in file.parent.iterdir()] == ["results.json"]


def test_a_later_run_on_the_same_machine_goes_on_with_the_results(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    first = Record(file, MACHINE, ORDER)
    first.add(outcome("card", Status.FAILED))
    first.add(outcome("start"))
    second = Record(file, MACHINE, ORDER)
    second.add(outcome("card"))
    assert kept(file) == {"card": "passed", "start": "passed"}
    second.add(outcome("start", Status.NOT_RUN))
    assert kept(file)["start"] == "passed", "what was not run does not replace what was"


def test_another_machine_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    Record(file, MACHINE, ORDER).add(outcome("card"))
    Record(file, {**MACHINE, "gpus": []}, ORDER).add(outcome("start"))
    assert kept(file) == {"start": "passed"}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"machine": 1}', '{"checks": [{}]}'])
def test_a_file_that_holds_no_results_is_replaced(tmp_path: Path, content: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(content)
    Record(file, MACHINE, ORDER).add(outcome("card"))
    assert kept(file) == {"card": "passed"}


def test_the_document_gets_the_figures_between_its_marks_and_keeps_the_rest() -> None:
    document = f"# GPUs\n\nbefore\n\n{BEGIN}\n\nold figures\n\n{END}\n\nafter\n"
    once = refreshed(document, "new figures")
    assert once == document.replace("old", "new")
    assert refreshed(once, "new figures") == once


@pytest.mark.parametrize("document", ["no marks", BEGIN, END, f"{END} {BEGIN}"])
def test_a_document_without_its_marks_is_not_touched(document: str) -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        refreshed(document, "figures")


def test_the_figures_are_a_table_with_what_was_expected() -> None:
    failed = judge("start", [Figure("start to ready", 130.0, "s", most=120)], 131.0, ["a | b\nc"])
    text = markdown([failed, Outcome("card", Status.SKIPPED, "no GPU")], MACHINE)
    assert text.splitlines()[0] == "### NVIDIA H100, 80 GiB"
    assert "2026-11-25; Python 3.12.1, torch 2.11.0; 16 cores, 128 GiB of host memory." in text
    assert "| **start** |  | 131 s | | failed |" in text
    assert "| | start to ready | 130 s | ≤ 120 | missed |" in text
    assert "| | a \\| b c | | | |" in text
    assert "| **card** | no GPU | 0 s | | skipped |" in text


def test_the_last_lines_tell_what_failed_and_why() -> None:
    """As logs of a machine that nobody can look at are cut to them."""
    failed = judge("books", [Figure("held", 1.2, most=1.1)], 20.0)
    told = io.StringIO()
    outcomes = [failed, Outcome("card", Status.SKIPPED, "no GPU"), Outcome("stop", Status.NOT_RUN, "no time was left")]
    table(outcomes, (), Console(file=told))
    assert told.getvalue().splitlines()[-5:] == [
        "0 passed, 1 failed, 1 skipped, 1 not run",
        "failed books, 20.0 s",
        "    held: 1.2, expected at most 1.1",
        "not run stop, 0.0 s",
        "    no time was left",
    ]


def test_the_project_s_own_document_has_the_marks() -> None:
    document = (ROOT / "docs/gpu.md").read_text()
    assert "some figures" in refreshed(document, "some figures")
