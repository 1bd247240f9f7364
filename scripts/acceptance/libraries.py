"""The libraries that CTranslate2 opens by name when it first computes on a GPU, and those that these want in turn."""

from scripts.acceptance.check import Findings
from scripts.acceptance.setting import Setting
from server.engines.whisper.cuda_libraries import load_cublas


def check(_setting: Setting, findings: Findings) -> None:
    import ctranslate2

    # As the worker does it before its first model: from the environment's own folder, else the system's.
    findings.tell("CUDA 12's cuBLAS", load_cublas() or "loaded", wanted="loaded")
    findings.tell("devices that CTranslate2 sees", ctranslate2.get_cuda_device_count(), least=1)
    types = ctranslate2.get_supported_compute_types("cuda")
    findings.tell("float16 on the GPU", "yes" if "float16" in types else "no", wanted="yes")
