"""The starter models as a user starts them: in time, all of them, and on the GPU where there is one."""

from scripts.acceptance import gpu
from scripts.acceptance.check import Findings
from scripts.acceptance.client import client
from scripts.acceptance.processes import tree
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import CHAT, EAR, PAINTER, STARTERS

ON_GPU, ON_PROCESSOR = 120.0, 240.0
"""Seconds from start to ready. A processor of two cores that is busy otherwise has been seen to need ninety."""


def check(setting: Setting, findings: Findings) -> None:
    server = setting.server
    most = ON_GPU if setting.gpu else ON_PROCESSOR
    findings.tell("start to ready", server.start_seconds, "s", most=most)
    for model in STARTERS:
        if model not in server.model_seconds:
            findings.note(f"{model} is not installed")
            continue
        seconds = server.model_seconds[model]
        findings.tell(f"{model} ready after", "failed" if seconds is None else seconds, "s", most=most)
    with client(server) as asked:
        ready, states = asked.ready()
    findings.tell("/ready", "200" if ready else f"503: {dict(states)}", wanted="200")
    if setting.gpu:
        on_gpu(setting, findings)


def on_gpu(setting: Setting, findings: Findings) -> None:
    """Which processes hold GPU memory; where the driver hides them, how much the devices' use has grown."""
    grown = {number: used - setting.server.gpu_before.get(number, 0) for number, used in gpu.used().items()}
    findings.tell("GPU memory taken", sum(grown.values()) / 2**30, "GiB", least=0.5)
    processes = tree(setting.server.pid)
    if gpu.held({one.pid for one in processes}) is None:
        findings.note("the driver hides processes: which model is on the GPU can't be seen")
        return
    workers = {
        model: {
            one.pid
            for one in processes
            if "server.engines.worker.child" in (line := " ".join(one.cmdline())) and model in line
        }
        for model in (EAR, PAINTER)
    }
    others = {one.pid for one in processes} - set().union(*workers.values())
    for model, pids in {CHAT: others, **workers}.items():
        if setting.server.model_seconds.get(model) is not None:
            there = gpu.held(pids)
            findings.tell(f"{model} is on the GPU", "yes" if there else "no", wanted="yes")
