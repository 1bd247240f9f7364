"""The checks, one after another, each in a process and within a time of its own; none keeps the others from running."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import psutil

from scripts.acceptance.check import Check, Outcome, Status
from scripts.acceptance.record import Record
from scripts.acceptance.setting import Running, Setting

ROOT = Path(__file__).resolve().parents[2]
GRACE = 5.0
"""Seconds that a check's processes get to end by themselves once its time is over."""
LEAST = 10.0
"""Seconds that must be left of the whole run for another check to begin."""


class StandError(Exception):
    """The servers that a check needs are not there; the message says why."""


class Stands(Protocol):
    """The servers that checks share."""

    def get(self, name: str, within: float) -> Running:
        """The stand's server, up. Started if need be, within so many seconds. Raises StandError."""
        ...

    def end(self) -> None:
        """Stop the one that is up, if one is."""
        ...


def run_all(
    checks: Sequence[Check],
    setting: Setting,
    stands: Stands,
    record: Record,
    *,
    seconds: float,
    tell: Callable[[Outcome], None],
    clock: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Every check's outcome, recorded and reported as it comes. seconds: for all of them together."""
    outcomes: list[Outcome] = []
    end = clock() + seconds
    try:
        for check in checks:
            outcome = _one(check, setting, stands, end - clock(), seconds)
            if check.ends_stand and outcome.status is not Status.SKIPPED:
                stands.end()
            outcomes.append(outcome)
            record.add(outcome)
            tell(outcome)
    finally:
        stands.end()
    return outcomes


def _one(check: Check, setting: Setting, stands: Stands, left: float, seconds: float) -> Outcome:
    if check.needs_gpu and not setting.gpu:
        return Outcome(check.name, Status.SKIPPED, "no GPU")
    if left < LEAST:
        return Outcome(check.name, Status.NOT_RUN, f"the {seconds:g} s of this run were over")
    begun = time.monotonic()
    if check.stand is not None:
        try:
            setting = replace(setting, running=stands.get(check.stand, left))
        except StandError as error:
            return Outcome(check.name, Status.FAILED, str(error), time.monotonic() - begun)
        except Exception as error:  # noqa: BLE001 - any fault of the preparation fails this check alone
            return Outcome(check.name, Status.FAILED, f"{type(error).__name__}: {error}", time.monotonic() - begun)
        left -= time.monotonic() - begun
    return in_a_process(check, setting, limit=max(1.0, min(check.limit, left)))


def in_a_process(check: Check, setting: Setting, *, limit: float) -> Outcome:
    """Run the check in a process, and end that with all it began if `limit` seconds are over."""
    folder = setting.work / "checks"
    folder.mkdir(parents=True, exist_ok=True)
    given, found = folder / f"{check.name}.setting.json", folder / f"{check.name}.json"
    given.write_text(setting.to_json(), encoding="utf-8")
    found.unlink(missing_ok=True)
    log = folder / f"{check.name}.log"
    command = [sys.executable, "-m", "scripts.acceptance.child", check.name, check.program, str(given), str(found)]
    begun = time.monotonic()
    with log.open("w") as output:
        process = psutil.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(limit)
    except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
        reason = f"not done after {limit:.0f} s; {_last(log)}"
        return Outcome(check.name, Status.FAILED, reason, time.monotonic() - begun)
    finally:
        end_tree(process)
    took = time.monotonic() - begun
    try:
        outcome = Outcome.from_dict(json.loads(found.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
        return Outcome(check.name, Status.FAILED, f"the check's process ended with {how}; {_last(log)}", took)
    return replace(outcome, seconds=took)


def end_tree(process: psutil.Process) -> None:
    """End a process and all below it: asked first, killed after the grace, each by its id."""
    tree = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        tree += process.children(recursive=True)
    if isinstance(process, psutil.Popen) and process.poll() is not None:
        tree = tree[1:]
    for one in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.terminate()
    _, left = psutil.wait_procs(tree, timeout=GRACE)
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(left, timeout=GRACE)


def _last(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"its last words: {lines[-1][:300]}" if lines else "it said nothing"
