"""The ledger of bytes, and the estimates that go into it."""

import json
import struct
from pathlib import Path

import pytest

from server.engines.base import Footprint
from server.models import machine as machine_module
from server.models import weights
from server.models.estimate import GIB, VLLM_GPU, VLLM_HOST, VLLM_HOST_CUDA, Need, estimate
from server.models.machine import Machine
from server.models.memory import MemoryLedger, describe, elastic_share, readable
from server.models.spec import DiffusersModel, FakeModel, PiperModel, PiperVoice, VllmModel, WhisperModel

CPU = Machine(host=16 * GIB)
GPU = Machine(host=64 * GIB, gpu=80 * GIB)


def safetensors(file: Path, **tensors: tuple[str, int]) -> None:
    """A file with a true header and no values: dtype and bytes of each tensor."""
    header, at = {}, 0
    for name, (dtype, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": [size], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(text)) + text)


def chat(**fields: object) -> VllmModel:
    return VllmModel.model_validate({"name": "chat", "engine": "vllm", "path": "chat", **fields})


# ---------------------------------------------------------------- ledger


def test_reserve_correct_release() -> None:
    ledger = MemoryLedger(Machine(1000, 500), host_budget=800)
    assert ledger.budget == Footprint(800, 450)
    grant = ledger.reserve("a", Footprint(300, 250))
    assert (grant.host, grant.gpu, grant.gpu_share) == (300, 250, 0.5)
    assert ledger.free == Footprint(500, 200)
    assert ledger.short(Footprint(600, 100), of="b") == Footprint(100, 0)
    assert ledger.short(Footprint(600, 100), of="a") == Footprint(0, 0)
    ledger.correct("a", Footprint(350, 0))
    assert ledger.held["a"] == Footprint(350, 250)
    ledger.slept("a", Footprint(360, 10))
    assert ledger.held["a"] == Footprint(360, 10)
    ledger.release("a")
    ledger.release("a")
    assert ledger.free == ledger.budget


def test_a_reservation_never_exceeds_the_budget() -> None:
    ledger = MemoryLedger(Machine(1000), host_budget=800)
    ledger.reserve("a", Footprint(500))
    with pytest.raises(ValueError, match="b: 301 bytes of host memory do not fit into 300 bytes of host memory"):
        ledger.reserve("b", Footprint(301))
    assert "b" not in ledger.held


def test_a_correction_may_exceed_the_budget_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    ledger = MemoryLedger(Machine(1000), host_budget=800)
    ledger.reserve("a", Footprint(500))
    ledger.correct("a", Footprint(900))
    assert ledger.free == Footprint(0, 0)
    assert "model a took 900 bytes of host memory, not the 500 bytes" in caplog.text


def test_a_late_report_for_a_released_model_is_dropped() -> None:
    ledger = MemoryLedger(Machine(1000))
    ledger.correct("gone", Footprint(5))
    ledger.slept("gone", Footprint(5))
    assert dict(ledger.held) == {}


def test_without_a_gpu_there_is_no_share() -> None:
    ledger = MemoryLedger(Machine(1000))
    assert ledger.budget.gpu == 0
    assert ledger.reserve("a", Footprint(1)).gpu_share is None


@pytest.mark.parametrize(
    ("free", "need", "others", "models", "granted"),
    [
        (70, 20, 0, 1, 70),  # alone: everything
        (70, 20, 10, 1, 60),  # what a model to come needs stays
        (70, 20, 20, 2, 35),  # two share what is left
        (20, 20, 20, 2, 20),  # nothing is left
        (10, 20, 0, 1, 10),  # never more than free
    ],
)
def test_elastic_share(free: int, need: int, others: int, models: int, granted: int) -> None:
    assert elastic_share(free, need, others, models) == granted


def test_numbers_for_people() -> None:
    assert [readable(n) for n in (0, 1023, 1536, 3 * GIB, 2**50)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 KiB",
        "3.0 GiB",
        "1024.0 TiB",
    ]
    assert describe(Footprint(GIB, 2 * GIB)) == "1.0 GiB of host memory and 2.0 GiB of GPU memory"


# ---------------------------------------------------------------- machine


def test_a_containers_limit_is_the_machines_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(machine_module, "CGROUP_LIMITS", (tmp_path / "none", limit))
    limit.write_text("max\n")
    whole = Machine.detect().host
    limit.write_text("123456789\n")
    assert Machine.detect().host == 123456789 < whole


def test_hidden_devices_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert Machine.detect().gpu == 0
        assert Machine.detect().gpu_free() == 0


# ---------------------------------------------------------------- estimates


def test_chat_on_a_processor_counts_its_floats_as_float32(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("BF16", 2000), b=("I8", 100))
    assert weights.stored(chat(), tmp_path) == weights.Stored(2000, 1000, 100)
    assert estimate(chat(), tmp_path, CPU) == Need(VLLM_HOST + 4100 + GIB)
    assert estimate(chat(dtype="bfloat16"), tmp_path, CPU) == Need(VLLM_HOST + 2100 + GIB)


def test_chat_on_a_gpu_is_elastic_unless_told(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("F32", 4000))
    assert estimate(chat(), tmp_path, GPU) == Need(VLLM_HOST_CUDA, 2000 + GIB + VLLM_GPU, elastic=True)
    halves = estimate(chat(tensor_parallel_size=2), tmp_path, GPU)
    assert halves.gpu == (2000 + GIB) // 2 + VLLM_GPU
    assert estimate(chat(gpu_memory_utilization=0.5), tmp_path, GPU) == Need(VLLM_HOST_CUDA, 40 * GIB)
    assert estimate(chat(gpu_memory="20GiB"), tmp_path, GPU) == Need(VLLM_HOST_CUDA, 20 * GIB)


def test_declared_memory_wins(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("F32", 4000))
    assert estimate(chat(host_memory="2GiB"), tmp_path, CPU).host == 2 * GIB


def test_the_other_engines(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "model.bin").write_bytes(bytes(1000))
    (tmp_path / "w" / "vocabulary.txt").write_bytes(bytes(5000))
    ears = WhisperModel(name="e", engine="whisper", path="w")
    assert estimate(ears, tmp_path, CPU).host - 400 * 2**20 == 1500
    assert estimate(ears, tmp_path, GPU).gpu > 1500
    assert estimate(ears.model_copy(update={"device": "cpu"}), tmp_path, GPU).gpu == 0
    voice = PiperModel(name="v", engine="piper", path="w", voices={"a": PiperVoice(file="a.onnx")})
    assert estimate(voice, tmp_path, GPU).gpu == 0
    assert estimate(FakeModel(name="f", engine="fake", serves="chat"), tmp_path, CPU) == Need()


def test_one_variant_of_a_pipeline_is_counted(tmp_path: Path) -> None:
    for folder in ("unet", "vae"):
        safetensors(tmp_path / "i" / folder / "model.safetensors", a=("F32", 4000))
        safetensors(tmp_path / "i" / folder / "model.fp16.safetensors", a=("F16", 2000))
    (tmp_path / "i" / "unet" / "model.bin").write_bytes(bytes(4000))
    image = DiffusersModel(name="i", engine="diffusers", path="i", size=(64, 64))
    assert weights.stored(image, tmp_path).float_bytes == 8000
    assert weights.stored(image.model_copy(update={"variant": "fp16"}), tmp_path).float_bytes == 4000


@pytest.mark.parametrize("content", [b"", b"short", struct.pack("<Q", 2**60), struct.pack("<Q", 4) + b"{{{{"])
def test_a_damaged_weight_file_counts_by_its_size(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "model.safetensors").write_bytes(content)
    assert weights.stored(chat(), tmp_path).other_bytes == len(content)
