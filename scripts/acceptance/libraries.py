"""The libraries that CTranslate2 opens by name when it first computes on a GPU, and those that these want in turn."""

import ctypes
import sys
from pathlib import Path

from scripts.acceptance.check import Findings
from scripts.acceptance.setting import Setting

WANTED = ("libnvrtc.so.12", "libcublasLt.so.12", "libcublas.so.12")


def check(_setting: Setting, findings: Findings) -> None:
    for name in WANTED:
        findings.tell(name, where(name), wanted="found")
    import ctranslate2

    findings.tell("devices that CTranslate2 sees", ctranslate2.get_cuda_device_count(), least=1)
    types = ctranslate2.get_supported_compute_types("cuda")
    findings.tell("float16 on the GPU", "yes" if "float16" in types else "no", wanted="yes")


def where(name: str) -> str:
    """`found` if the loader has it, or a package from which the engine loads it; else `missing`."""
    try:
        ctypes.CDLL(name)
    except OSError:
        packages = (Path(entry) for entry in sys.path if entry)
        return "found" if any(any(folder.glob(f"nvidia/*/lib/{name}")) for folder in packages) else "missing"
    return "found"
