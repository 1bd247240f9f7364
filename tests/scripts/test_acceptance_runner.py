"""`scripts/gpu_acceptance` stops at nothing: each check in its own process and time, whatever the one before did."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from scripts.acceptance.check import Check, Findings, Outcome, Skip, Status
from scripts.acceptance.child import perform
from scripts.acceptance.record import Record
from scripts.acceptance.runner import StandError, in_a_process, run_all
from scripts.acceptance.setting import Running, Setting

RUNNING = Running("http://127.0.0.1:1", "sk-sage-x", 1, "log", 2.5, {"chat": 2.0, "ear": None}, {0: 1024})
BAD = "tests.scripts.test_acceptance_runner"


class FakeStands:
    """Stands without servers. broken: the names of those that don't start."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.ended = 0

    def get(self, name: str, within: float) -> Running:
        if name in self.broken:
            raise StandError("the server ended while it started")
        return RUNNING

    def end(self) -> None:
        self.ended += 1


# ---------------------------------------------------------------- checks that go wrong, each in its own way


def good(setting: Setting, findings: Findings) -> None:
    findings.tell("answer", 42, most=42)


def uses_the_server(setting: Setting, findings: Findings) -> None:
    findings.tell("url", setting.server.url, wanted=RUNNING.url)
    findings.tell("before", setting.server.gpu_before[0], least=1024)


def raises(setting: Setting, findings: Findings) -> None:
    findings.tell("so far", 1)
    raise RuntimeError("CUDA error:\nan illegal memory access")


def skips(setting: Setting, findings: Findings) -> None:
    raise Skip("no such model here")


def crashes(setting: Setting, findings: Findings) -> None:
    import ctypes

    sys.stdout.write("about to read address 0\n")
    sys.stdout.flush()
    ctypes.string_at(0)


def hangs(setting: Setting, findings: Findings) -> None:
    import subprocess
    import threading

    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    (setting.work / "pid").write_text(str(child.pid))
    sys.stdout.write("waiting for the GPU\n")
    sys.stdout.flush()
    threading.Event().wait()


def check(name: str, **changes: object) -> Check:
    fields: dict[str, object] = {"title": name, "expected": "", "program": f"{BAD}:{name}", "limit": 60.0}
    return Check(name, **{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(models_dir=tmp_path / "models", work=tmp_path / "work", gpu=False)


# ---------------------------------------------------------------- one check


def test_findings_come_back_from_the_check_s_process(setting: Setting) -> None:
    outcome = in_a_process(check("good"), setting, limit=60)
    assert (outcome.status, outcome.figures[0].value) == (Status.PASSED, 42)
    assert outcome.seconds > 0


def test_a_check_that_crashes_its_process_has_failed_with_the_signal(setting: Setting) -> None:
    outcome = in_a_process(check("crashes"), setting, limit=60)
    assert outcome.status is Status.FAILED
    assert "ended with signal 11" in outcome.reason
    assert "about to read address 0" in outcome.reason


def test_a_check_that_hangs_is_ended_with_all_it_began(setting: Setting) -> None:
    outcome = in_a_process(check("hangs"), setting, limit=8)
    assert outcome.status is Status.FAILED
    assert "not done after 8 s" in outcome.reason
    child = int((setting.work / "pid").read_text())
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_check_that_raises_has_failed_with_what_it_had_found(setting: Setting) -> None:
    outcome = perform("raises", f"{BAD}:raises", setting)
    assert (outcome.status, outcome.reason) == (
        Status.FAILED,
        "RuntimeError: CUDA error: an illegal memory access",
    )
    assert [figure.name for figure in outcome.figures] == ["so far"]


def test_a_check_may_say_that_it_cannot_be_made_here(setting: Setting) -> None:
    outcome = perform("skips", f"{BAD}:skips", setting)
    assert (outcome.status, outcome.reason) == (Status.SKIPPED, "no such model here")


def test_a_program_that_is_not_there_is_a_failed_check(setting: Setting) -> None:
    assert perform("lost", "scripts.acceptance.nowhere:check", setting).status is Status.FAILED


def test_a_setting_survives_its_journey_as_json(setting: Setting) -> None:
    with_server = Setting(models_dir=Path("/m"), work=Path("/w"), gpu=True, quick=True, running=RUNNING)
    assert Setting.from_json(with_server.to_json()) == with_server
    assert Setting.from_json(setting.to_json()) == setting
    with pytest.raises(LookupError, match="no stand"):
        _ = setting.server


# ---------------------------------------------------------------- all of them


def run(checks: list[Check], setting: Setting, stands: FakeStands, **options: float) -> dict[str, Outcome]:
    record = Record(setting.work / "results.json", {}, [one.name for one in checks])
    reported: list[str] = []
    outcomes = run_all(
        checks, setting, stands, record, seconds=options.get("seconds", 600), tell=lambda one: reported.append(one.name)
    )
    written = json.loads((setting.work / "results.json").read_text())["checks"]
    assert [one["name"] for one in written] == reported == [one.name for one in checks]
    return {one.name: one for one in outcomes}


def test_no_check_keeps_the_next_ones_from_running(setting: Setting) -> None:
    stands = FakeStands("broken")
    lost = check("good", stand="broken")
    checks = [check("crashes"), check("raises"), Check(**{**_fields(lost), "name": "lost"}), check("good")]
    found = run(checks, setting, stands)
    assert {name: outcome.status for name, outcome in found.items()} == {
        "crashes": Status.FAILED,
        "raises": Status.FAILED,
        "lost": Status.FAILED,
        "good": Status.PASSED,
    }
    assert found["lost"].reason == "the server ended while it started"
    assert stands.ended == 1, "what was up is stopped at the end"


def test_a_check_gets_its_stand_s_server(setting: Setting) -> None:
    found = run([check("uses_the_server", stand="starters")], setting, FakeStands())
    assert found["uses_the_server"].status is Status.PASSED


def test_a_stand_that_a_check_has_ended_is_put_away(setting: Setting) -> None:
    stands = FakeStands()
    run([check("good", stand="starters", ends_stand=True)], setting, stands)
    assert stands.ended == 2


def test_what_needs_a_gpu_is_skipped_without_one(setting: Setting) -> None:
    stands = FakeStands("starters")
    found = run([check("raises", needs_gpu=True, stand="starters")], setting, stands)
    assert (found["raises"].status, found["raises"].reason) == (Status.SKIPPED, "no GPU")


def test_once_the_time_is_over_the_rest_is_told_as_not_run(setting: Setting) -> None:
    found = run([check("raises"), check("good")], setting, FakeStands(), seconds=5)
    assert {outcome.status for outcome in found.values()} == {Status.NOT_RUN}
    assert found["good"].reason == "the 5 s of this run were over"


def _fields(one: Check) -> dict[str, object]:
    return {name: getattr(one, name) for name in Check.__slots__}
