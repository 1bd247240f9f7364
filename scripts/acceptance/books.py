"""The memory ledger against what the driver and the operating system report.

The ledger tells two amounts: what it found reported when it last looked, which has to be what is there, and what it
holds, which is that and the room that work in progress may yet take. It may hold more than is there, and never less.
"""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.acceptance import gpu
from scripts.acceptance.check import Findings
from scripts.acceptance.client import client
from scripts.acceptance.processes import host_bytes, tree
from scripts.acceptance.setting import Setting

HELD = "sagehold_memory_held_bytes"
REPORTED = "sagehold_memory_reported_bytes"
HOST = "host"
WITHIN = 0.10
OLDEST = 20.0
"""Seconds that the ledger's figures are waited for to be new: it looks every fifteen."""
Sample = tuple[str, Mapping[str, str], float]


def check(setting: Setting, findings: Findings) -> None:
    until = time.monotonic() + OLDEST
    while True:
        books = _read(setting)
        if books is None or books.close or time.monotonic() > until:
            break
        time.sleep(1)
    if books is None:
        findings.tell(REPORTED, "not in /metrics", wanted="there")
        return
    if books.hidden:
        findings.note("the driver hides processes: compared with the growth of each device's use")
    for device, there in books.there.items():
        held, noted = books.held.get(device, 0.0), books.noted.get(device, 0.0)
        findings.tell(f"there, {device}", there / 2**30, "GiB")
        findings.tell(f"held for work to come, {device}", max(0.0, held - noted) / 2**30, "GiB")
        per = there or float("nan")
        findings.tell(f"the ledger's report / there, {device}", noted / per, least=1 - WITHIN, most=1 + WITHIN)
        findings.tell(f"held / there, {device}", held / per, least=1 - WITHIN)


@dataclass(frozen=True, slots=True)
class Books:
    """Bytes by device. held, noted: by the ledger; there: by the machine, now, process by process unless `hidden`."""

    held: Mapping[str, float]
    noted: Mapping[str, float]
    there: Mapping[str, float]
    hidden: bool

    @property
    def close(self) -> bool:
        """Whether what the ledger found reported is what is there."""
        return all(abs(self.noted.get(device, 0.0) - there) <= WITHIN * there for device, there in self.there.items())


def _read(setting: Setting) -> Books | None:
    """The books and the machine at one time; None where /metrics tells of no books."""
    with client(setting.server) as asked:
        samples = asked.samples()
    held, noted = by_device(samples, HELD), by_device(samples, REPORTED)
    if not (held and noted):
        return None
    processes = tree(setting.server.pid)
    # Where no entry of the ledger stands for the front end, it is not compared either.
    there = {HOST: float(host_bytes(processes if front_end_is_booked(samples) else processes[1:]))}
    taken = gpu.held({one.pid for one in processes}) if setting.gpu else {}
    hidden = taken is None
    if taken is None:
        taken = {number: used - setting.server.gpu_before.get(number, 0) for number, used in gpu.used().items()}
    for number, amount in taken.items():
        if amount or held.get(f"GPU {number}"):
            there[f"GPU {number}"] = float(amount)
    return Books(held, noted, there, hidden)


def by_device(samples: Iterable[Sample], name: str) -> dict[str, float]:
    """The metric's sum over the models, for each device: `host`, `GPU 0`, …"""
    totals: dict[str, float] = {}
    for sample, labels, value in samples:
        if sample == name:
            device = device_name(labels.get("device", HOST))
            totals[device] = totals.get(device, 0.0) + value
    return totals


def device_name(label: str) -> str:
    """`host`, `cpu` → host; `gpu0`, `cuda:0`, `0` → GPU 0; `gpu`, where there is one only → GPU 0."""
    if label in ("host", "cpu"):
        return HOST
    number = re.search(r"\d+", label)
    return f"GPU {number[0] if number else 0}"


def front_end_is_booked(samples: Iterable[Sample]) -> bool:
    """Whether a ledger entry is no model's: models have a state, the front end has none."""
    samples = list(samples)
    models = {labels.get("model") for name, labels, _ in samples if name == "sagehold_model_state"}
    return any(name == HELD and labels.get("model") not in models for name, labels, _ in samples)
