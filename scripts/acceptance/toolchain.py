"""What Triton and torch.compile need on this machine, and whether they work with it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from scripts.acceptance.check import Findings
from scripts.acceptance.setting import Setting

SHARED = "/dev/shm"  # noqa: S108 - looked at, not written to

CACHES = {"VLLM_CACHE_ROOT": "vllm", "TRITON_CACHE_DIR": "triton", "TORCHINDUCTOR_CACHE_DIR": "torchinductor"}
"""Variables that move a cache, and the cache's name for people; without them all lie below ~/.cache or ~/.triton."""


def check(setting: Setting, findings: Findings) -> None:
    needed = "yes" if setting.gpu else None  # a processor compiles nothing: vLLM runs eager there
    findings.tell("C compiler", "yes" if _compiler() else "no", wanted=needed)
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    findings.tell("Python.h", "yes" if header.is_file() else "no", wanted=needed)
    ninja = shutil.which("ninja") or shutil.which("ninja", path=str(Path(sys.executable).parent))
    findings.tell("ninja", "yes" if ninja else "no", wanted=needed)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for variable, name in CACHES.items():
        folder = Path(os.environ.get(variable) or home)
        findings.tell(f"cache of {name} can be written", "yes" if _writable(folder) else "no", wanted="yes")
    findings.tell("shared memory", shutil.disk_usage(SHARED).free / 2**20, "MiB", least=64)
    if setting.gpu:
        _compile(findings)


def _compiler() -> bool:
    found = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if found is None:
        return False
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "one.c"
        source.write_text("int one(void) { return 1; }\n")
        command = [*found.split(), "-shared", "-fPIC", str(source), "-o", str(Path(name) / "one.so")]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _compile(findings: Findings) -> None:
    """A kernel by torch.compile: Triton, the compiler and Python's headers at once."""
    import torch

    def double_and_one(values: torch.Tensor) -> torch.Tensor:
        return values * 2 + 1

    compiled = torch.compile(double_and_one)(torch.ones(1024, device="cuda"))
    findings.tell("a compiled kernel's sum", float(compiled.sum()), least=3072, most=3072)
