"""torch and the driver agree on the GPU, and NVML tells what the memory ledger wants to know of it."""

import os

from scripts.acceptance import gpu
from scripts.acceptance.check import Findings
from scripts.acceptance.setting import Setting

LEAST_CAPABILITY = 7.5
"""CUDA 13's compilers and libraries know nothing older than Turing."""
HELD = 512 * 2**20
"""Bytes taken to see whether NVML tells them."""


def check(_setting: Setting, findings: Findings) -> None:
    import torch

    version, newest = gpu.driver()
    runtime = str(torch.version.cuda)
    findings.tell("driver", version)
    findings.tell("torch's CUDA", runtime)
    # Within one major version the driver may be older than the runtime; kernels are then compiled for it.
    findings.tell("CUDA of the driver, major version", newest[0], least=float(runtime.partition(".")[0]))
    findings.tell("GPUs that torch sees", torch.cuda.device_count(), least=1)
    for device in gpu.devices():
        at = f"GPU {device.number}"
        findings.tell(f"{at}", device.name)
        findings.tell(f"{at}, memory", device.total / 2**30, "GiB")
        findings.tell(
            f"{at}, compute capability", device.capability[0] + device.capability[1] / 10, least=LEAST_CAPABILITY
        )
        if device.mig is not None:
            findings.tell(f"{at}, MIG", "on" if device.mig else "off")
        if device.virtual:
            findings.note(f"{at} is a virtual one: the driver may hide processes and other tenants' memory")
    product = torch.ones(256, 256, device="cuda", dtype=torch.bfloat16) @ torch.ones(
        256, 256, device="cuda", dtype=torch.bfloat16
    )
    findings.tell("a sum of 256 ones on the GPU", float(product[0, 0]), least=256, most=256)
    _pids(findings)


def _pids(findings: Findings) -> None:
    """Whether the driver tells our own bytes; without them the ledger goes by the devices' differences."""
    import torch

    before = sum((gpu.held({os.getpid()}) or {}).values())
    taken = torch.empty(HELD, dtype=torch.uint8, device="cuda")
    reported = gpu.held({os.getpid()})
    if reported is None:
        findings.tell("NVML tells processes' bytes", "no")
        findings.note("processes are hidden: the ledger has to go by what each device has in use")
    else:
        findings.tell("NVML tells processes' bytes", "yes")
        grown = (sum(reported.values()) - before) / taken.numel()
        # What the CUDA context took before is in it as well; a driver that tells no bytes has been seen above.
        findings.tell("bytes reported for bytes taken", grown, least=0.9, most=1.1)
    del taken
