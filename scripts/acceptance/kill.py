"""kill -9 of the front end: what it leaves behind."""

import signal
from contextlib import suppress

import psutil

from scripts.acceptance import gpu
from scripts.acceptance.check import Findings
from scripts.acceptance.processes import alive, named, port_is_free, tree, until
from scripts.acceptance.setting import Setting

WITHIN = 5.0
SLACK = 128 * 2**20
"""Bytes of GPU memory by which others may have grown meanwhile."""


def check(setting: Setting, findings: Findings) -> None:
    processes = tree(setting.server.pid)
    findings.tell("processes before", len(processes), least=2)
    try:
        _kill(setting, findings, processes)
    finally:
        # What lives on is a finding, not something to leave behind.
        for one in filter(alive, processes):
            with suppress(psutil.NoSuchProcess):
                one.kill()


def _kill(setting: Setting, findings: Findings, processes: list[psutil.Process]) -> None:
    server = setting.server
    psutil.Process(server.pid).send_signal(signal.SIGKILL)
    took = until(lambda: not any(map(alive, processes)), WITHIN)
    left = [named(one) for one in processes if alive(one)]
    findings.tell("until every process is gone", f"left: {left}" if took is None else took, "s", most=WITHIN)
    took = until(lambda: port_is_free(server.url), WITHIN)
    findings.tell("until the port is free", "still taken" if took is None else took, "s", most=WITHIN)
    if setting.gpu:
        took = until(lambda: not _kept(setting), WITHIN)
        findings.tell(
            "until the GPU's memory is back", f"kept: {_kept(setting)}" if took is None else took, "s", most=WITHIN
        )


def _kept(setting: Setting) -> dict[int, int]:
    """Bytes above those of before the start, for each device where that is more than the slack."""
    grown = {number: used - setting.server.gpu_before.get(number, 0) for number, used in gpu.used().items()}
    return {number: more for number, more in grown.items() if more > SLACK}
