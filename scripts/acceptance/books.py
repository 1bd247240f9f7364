"""The memory ledger against what the driver and the operating system report."""

import re
from collections.abc import Iterable, Mapping

from scripts.acceptance import gpu
from scripts.acceptance.check import Findings
from scripts.acceptance.client import client
from scripts.acceptance.processes import host_bytes, tree
from scripts.acceptance.setting import Setting

HELD = "sagehold_memory_held_bytes"
HOST = "host"
WITHIN = 0.10
Sample = tuple[str, Mapping[str, str], float]


def check(setting: Setting, findings: Findings) -> None:
    with client(setting.server) as asked:
        samples = asked.samples()
    held = by_device(samples, HELD)
    if not held:
        findings.tell(HELD, "not told by /metrics", wanted="told")
        return
    for device, amount in held.items():
        findings.tell(f"held, {device}", amount / 2**30, "GiB")
    processes = tree(setting.server.pid)
    # Where no entry of the ledger stands for the front end, it is not compared either.
    compared = processes if front_end_is_booked(samples) else processes[1:]
    if HOST in held:
        _compare(findings, HOST, held[HOST], host_bytes(compared))
    if setting.gpu:
        told = gpu.held({one.pid for one in processes})
        if told is None:
            findings.note("the driver hides processes: compared with the growth of each device's use")
            told = {number: used - setting.server.gpu_before.get(number, 0) for number, used in gpu.used().items()}
        for number, reported in told.items():
            if reported or held.get(f"GPU {number}"):
                _compare(findings, f"GPU {number}", held.get(f"GPU {number}", 0.0), reported)


def _compare(findings: Findings, device: str, held: float, reported: float) -> None:
    findings.tell(f"reported, {device}", reported / 2**30, "GiB")
    ratio = held / reported if reported else float("inf")
    findings.tell(f"held / reported, {device}", ratio, least=1 - WITHIN, most=1 + WITHIN)


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
