"""What the acceptance run does about CUDA 12's libraries, which lie where only the engine looks for them."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from scripts.acceptance import libraries, transcription
from scripts.acceptance.check import Findings
from scripts.acceptance.setting import Setting


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in its order: libraries loaded, devices counted, a model made."""
    done: list[str] = []

    def load() -> str | None:
        done.append("load")
        return None

    def counted() -> int:
        done.append("count")
        return 1

    ctranslate2: Any = ModuleType("ctranslate2")
    ctranslate2.get_cuda_device_count = counted
    ctranslate2.get_supported_compute_types = lambda _: {"float16"}
    whisper: Any = ModuleType("faster_whisper")
    whisper.WhisperModel = lambda *_, **options: done.append(options["device"])
    monkeypatch.setitem(sys.modules, "ctranslate2", ctranslate2)
    monkeypatch.setitem(sys.modules, "faster_whisper", whisper)
    monkeypatch.setattr(libraries, "load_cublas", load)
    monkeypatch.setattr(transcription, "load_cublas", load)
    return done


def setting(*, gpu: bool) -> Setting:
    made: Any = SimpleNamespace(gpu=gpu, models_dir=Path("models"))
    return made


def test_libraries_are_found_where_the_engine_finds_them(order: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    findings = Findings()
    libraries.check(setting(gpu=True), findings)
    assert [figure.missed for figure in findings.figures] == [None] * 3
    assert order == ["load", "count"]
    monkeypatch.setattr(libraries, "load_cublas", lambda: "libcublas.so.12: no such file")
    findings = Findings()
    libraries.check(setting(gpu=True), findings)
    assert "no such file" in str(findings.figures[0].missed)


def test_faster_whisper_alone_has_the_engines_libraries(order: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    transcription.faster_whisper(setting(gpu=True))
    assert order == ["load", "cuda"]
    transcription.faster_whisper(setting(gpu=False))
    assert order[2:] == ["cpu"]
    monkeypatch.setattr(transcription, "load_cublas", lambda: "no such file")
    with pytest.raises(RuntimeError, match="no such file"):
        transcription.faster_whisper(setting(gpu=True))
