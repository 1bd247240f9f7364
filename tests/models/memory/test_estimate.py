"""What models will take, from their configs and files."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from server.models.config import weights
from server.models.config.spec import (
    DiffusersModel,
    EmbedModel,
    FakeModel,
    PiperModel,
    PiperVoice,
    VllmModel,
    WhisperModel,
)
from server.models.memory.estimate import (
    CUDA_CONTEXT,
    DENOISED_PIXEL,
    EMBED_HOST,
    EMBED_WORK,
    GIB,
    LINKS,
    MIB,
    PIPER_HOST,
    PIPER_WORK,
    PIXEL,
    TORCH_HOST,
    TORCH_HOST_CUDA,
    VLLM_HOST,
    VLLM_HOST_CUDA,
    VLLM_WORKER_HOST_CUDA,
    WHISPER_HOST,
    WHISPER_WINDOW,
    WHISPER_WORK,
    estimate,
)
from server.models.memory.need import Need
from server.models.memory.working import LEAST, UNKNOWN, VISION, activations, counts, defaults, graphs
from tests.models.devices import machine

CPU = machine(16 * GIB)
GPU = machine(64 * GIB, 80 * GIB)
TWO = machine(64 * GIB, 80 * GIB, 24 * GIB)

LLAMA_8B = {"hidden_size": 4096, "intermediate_size": 14336, "vocab_size": 128256}


def safetensors(file: Path, **tensors: tuple[str, int]) -> None:
    """A file with a true header and no values (a hole): dtype and bytes of each tensor."""
    header, at = {}, 0
    for name, (dtype, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": [size], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(file, 8 + len(text) + at)


def chat(**fields: object) -> VllmModel:
    return VllmModel.model_validate({"name": "chat", "engine": "vllm", "path": "chat", **fields})


def picture(**fields: object) -> DiffusersModel:
    return DiffusersModel.model_validate(
        {"name": "i", "engine": "diffusers", "path": "i", "size": (64, 64), "max_batch": 1, **fields}
    )


# ---------------------------------------------------------------- chat


def test_chat_on_a_processor_counts_its_floats_as_float32(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("BF16", 2000), b=("I8", 100))
    assert weights.stored(chat(), tmp_path) == weights.Stored(2000, 1000, 100)
    assert estimate(chat(), tmp_path, CPU) == Need(host=VLLM_HOST + 4100 + GIB + UNKNOWN, at_work=UNKNOWN)
    assert estimate(chat(dtype="bfloat16"), tmp_path, CPU).host == VLLM_HOST + 2100 + GIB + UNKNOWN


def test_a_small_model_on_a_processor_is_small(tmp_path: Path) -> None:
    """SmolLM2-135M: 1,788 MiB were held after its load with 1 GiB of KV cache, 1,966 MiB after 96 long prompts."""
    safetensors(tmp_path / "chat" / "model.safetensors", a=("BF16", 269 * 10**6))
    config = {"hidden_size": 576, "intermediate_size": 1536, "vocab_size": 49152}
    (tmp_path / "chat" / "config.json").write_text(json.dumps(config))
    need = estimate(chat(), tmp_path, CPU)
    assert 1966 < need.host / MIB < 1.25 * 1966
    assert (need.host - need.at_work) / MIB > 1788


def test_chat_on_a_gpu_is_elastic_unless_told(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("F32", 4000))
    need = estimate(chat(), tmp_path, GPU)
    fixed = 2000 + graphs(chat(), 2000) + CUDA_CONTEXT + UNKNOWN
    assert (need.host, need.gpu, need.fixed, need.elastic) == (
        VLLM_HOST_CUDA + VLLM_WORKER_HOST_CUDA, fixed + GIB, fixed, True,
    )  # fmt: skip
    share = estimate(chat(gpu_memory_utilization=0.5), tmp_path, TWO)
    assert [share.of_gpu(gpu.total) for gpu in TWO.gpus] == [40 * GIB, 12 * GIB]
    assert (share.fixed, share.elastic) == (None, False)
    assert estimate(chat(gpu_memory_utilization=0.5, gpu_memory="20GiB"), tmp_path, TWO) == share
    said = estimate(chat(gpu_memory="20GiB"), tmp_path, GPU)
    assert (said.gpu, said.fixed, said.elastic) == (20 * GIB, fixed, False)


def test_a_part_of_the_model_is_on_each_gpu(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("F16", 16 * GIB))
    whole = estimate(chat(eager=True), tmp_path, GPU)
    assert (whole.gpus, whole.gpu) == (1, 16 * GIB + CUDA_CONTEXT + UNKNOWN + GIB)
    for split in ({"tensor_parallel_size": 2}, {"pipeline_parallel_size": 2}):
        half = estimate(chat(eager=True, **split), tmp_path, TWO)
        assert (half.gpus, half.gpu) == (2, 8 * GIB + CUDA_CONTEXT + LINKS + UNKNOWN + GIB // 2)
        assert half.host == VLLM_HOST_CUDA + 2 * VLLM_WORKER_HOST_CUDA
    copies = estimate(chat(eager=True, data_parallel_size=2), tmp_path, TWO)
    assert (copies.gpus, copies.gpu) == (2, whole.gpu)
    assert copies.host == 2 * whole.host
    both = estimate(chat(eager=True, data_parallel_size=2, tensor_parallel_size=4), tmp_path, GPU)
    assert (both.gpus, both.gpu) == (8, 4 * GIB + CUDA_CONTEXT + LINKS + UNKNOWN + GIB // 4)


def test_weights_that_wait_in_host_memory_are_booked_there(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("F16", 16 * GIB))
    plain = estimate(chat(eager=True), tmp_path, TWO)
    off = estimate(chat(eager=True, cpu_offload="6GiB"), tmp_path, TWO)
    assert (plain.gpu - off.gpu, off.host - plain.host, off.at_work) == (6 * GIB, 6 * GIB, 6 * GIB)
    halves = {"eager": True, "tensor_parallel_size": 2}
    off = estimate(chat(**halves, cpu_offload="6GiB"), tmp_path, TWO)
    assert off.host - estimate(chat(**halves), tmp_path, TWO).host == 12 * GIB
    most = estimate(chat(eager=True, cpu_offload="90GiB"), tmp_path, TWO)
    assert most.host - plain.host == 16 * GIB


def test_adapters_and_a_drafting_model_are_weights_too(tmp_path: Path) -> None:
    for folder, size in (("chat", 4000), ("polite", 300), ("draft", 80)):
        safetensors(tmp_path / folder / "model.safetensors", a=("F16", size))
    more = chat(
        eager=True,
        adapters=[{"name": "polite", "path": "polite"}],
        speculative_config={"model": "draft", "num_speculative_tokens": 3},
    )
    on_gpu = estimate(more, tmp_path, GPU)
    assert on_gpu.gpu - estimate(chat(eager=True), tmp_path, GPU).gpu == 380
    assert on_gpu.asleep == 4380
    assert estimate(more, tmp_path, CPU).host - estimate(chat(), tmp_path, CPU).host == 760
    guessed = chat(speculative_config={"method": "ngram", "num_speculative_tokens": 4})
    assert estimate(guessed, tmp_path, GPU) == estimate(chat(), tmp_path, GPU)


def test_asleep_a_model_keeps_its_graphs_on_the_gpu_and_its_counts_in_the_host(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("F16", 4000))
    (tmp_path / "chat" / "config.json").write_text(json.dumps(LLAMA_8B))
    for more in ({}, {"gpu_memory_utilization": 0.5}):
        need = estimate(chat(**more), tmp_path, GPU)
        assert need.staying == CUDA_CONTEXT + graphs(chat(), 4000)
        assert need.asleep == 4000 + 1024 * 128256 * 33 // 8
    eager = estimate(chat(eager=True, max_num_seqs=8), tmp_path, GPU)
    assert (eager.staying, eager.asleep) == (CUDA_CONTEXT, 4000 + 8 * 128256 * 33 // 8)
    assert counts(chat(), {}, gpu_total=80 * GIB) == 0
    assert estimate(chat(), tmp_path, CPU).asleep == 0


def test_what_a_step_takes_follows_the_models_widths() -> None:
    spec = chat()
    big = activations(spec, LLAMA_8B, gpu_total=80 * GIB, width=2)
    assert big == 8192 * (3 * 14336 + 6 * 4096) * 2 + 1024 * 128256 * 12
    assert activations(spec, {"text_config": LLAMA_8B}, gpu_total=80 * GIB, width=2) == big
    assert activations(spec, LLAMA_8B, gpu_total=24 * GIB, width=2) < big / 2
    assert activations(chat(tensor_parallel_size=4), LLAMA_8B, gpu_total=80 * GIB, width=2) < big
    fewer = chat(max_num_batched_tokens=512, max_num_seqs=8)
    assert activations(fewer, LLAMA_8B, gpu_total=80 * GIB, width=2) == LEAST
    assert activations(chat(images=True), {}, gpu_total=0, width=4) == UNKNOWN + VISION
    assert activations(spec, {"hidden_size": "wide"}, gpu_total=0, width=4) == UNKNOWN
    assert (graphs(chat(eager=True), GIB), graphs(spec, 50 * GIB) - graphs(spec, 0)) == (0, GIB)


@pytest.mark.parametrize(
    ("total", "tokens", "sequences"), [(0, 2048, 128), (24, 2048, 256), (80, 8192, 1024), (192, 16384, 1024)]
)
def test_batches_are_vllms_own(total: int, tokens: int, sequences: int) -> None:
    found = defaults(total * GIB)
    assert (found.tokens, found.sequences) == (tokens, sequences)


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_a_config_that_cannot_be_read_is_the_loaders_to_tell(tmp_path: Path, content: str) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("F16", 2000))
    (tmp_path / "chat" / "config.json").write_text(content)
    assert estimate(chat(eager=True), tmp_path, GPU).gpu == 2000 + CUDA_CONTEXT + UNKNOWN + GIB


def test_declared_memory_wins(tmp_path: Path) -> None:
    safetensors(tmp_path / "chat" / "model.safetensors", a=("F32", 4000))
    assert estimate(chat(host_memory="2GiB"), tmp_path, CPU).host == 2 * GIB
    assert estimate(chat(gpus=[1]), tmp_path, TWO).among == (1,)


# ---------------------------------------------------------------- the others


def test_speech_and_transcription(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "model.bin").write_bytes(bytes(1000))
    (tmp_path / "w" / "vocabulary.txt").write_bytes(bytes(5000))
    ears = WhisperModel(name="e", engine="whisper", path="w")
    work = WHISPER_WORK + 3 * WHISPER_WINDOW
    assert estimate(ears, tmp_path, CPU) == Need(host=WHISPER_HOST + 1000 + work, at_work=work)
    alone = estimate(ears.model_copy(update={"max_batch": 1}), tmp_path, CPU)
    assert alone == Need(host=WHISPER_HOST + 1000 + WHISPER_WORK, at_work=WHISPER_WORK)
    work += 500
    assert estimate(ears, tmp_path, GPU) == Need(
        host=TORCH_HOST_CUDA, gpu=CUDA_CONTEXT + 1000 + work, loading=1000, gpu_at_work=work
    )
    assert not estimate(ears.model_copy(update={"device": "cpu"}), tmp_path, GPU).on_gpu
    voice = PiperModel(name="v", engine="piper", path="w", voices={"a": PiperVoice(file="a.onnx")}, threads=1)
    assert estimate(voice, tmp_path, GPU) == Need(host=PIPER_HOST + 1000 + PIPER_WORK, at_work=PIPER_WORK)
    two = voice.model_copy(update={"threads": 2})
    assert estimate(two, tmp_path, GPU) == Need(host=PIPER_HOST + 2000 + 3 * PIPER_WORK, at_work=3 * PIPER_WORK)
    assert estimate(FakeModel(name="f", engine="fake", serves="chat"), tmp_path, CPU) == Need()


def pipeline(folder: Path) -> None:
    safetensors(folder / "transformer" / "a.safetensors", a=("F16", 24 * GIB))
    safetensors(folder / "text_encoder_2" / "a.safetensors", a=("F16", 9 * GIB))
    safetensors(folder / "vae" / "a.safetensors", a=("F16", GIB))


def test_a_pipeline_passes_through_host_memory(tmp_path: Path) -> None:
    pipeline(tmp_path / "i")
    work = 64 * 64 * PIXEL
    need = estimate(picture(), tmp_path, GPU)
    assert need.host == TORCH_HOST_CUDA
    assert 24 * GIB < need.loading < 24 * GIB + MIB  # file by file
    assert (need.gpu, need.gpu_at_work) == (CUDA_CONTEXT + 34 * GIB + work, work)
    on_cpu = estimate(picture(), tmp_path, CPU)
    assert (on_cpu.host, on_cpu.at_work, on_cpu.loading) == (TORCH_HOST + 68 * GIB + 2 * work, 2 * work, 0)


def test_a_pipeline_that_waits_in_host_memory_is_booked_there(tmp_path: Path) -> None:
    pipeline(tmp_path / "i")
    work = 64 * 64 * PIXEL
    by_part = estimate(picture(offload="model"), tmp_path, GPU)
    assert (by_part.host, by_part.gpu) == (TORCH_HOST_CUDA + 34 * GIB, CUDA_CONTEXT + 24 * GIB + work)
    by_layer = estimate(picture(offload="sequential"), tmp_path, GPU)
    assert (by_layer.host, by_layer.gpu) == (by_part.host, CUDA_CONTEXT + GIB + work)
    assert by_layer.gpu_at_work == GIB + work


def test_a_batch_is_drawn_at_once_and_tiles_take_less(tmp_path: Path) -> None:
    one, four = (estimate(picture(max_batch=count), tmp_path, GPU) for count in (1, 4))
    assert four.gpu_at_work == 4 * one.gpu_at_work
    assert estimate(picture(max_batch=4, slicing=True), tmp_path, GPU).gpu_at_work == one.gpu_at_work
    assert estimate(picture(max_batch=4, tiling=True, slicing=False), tmp_path, GPU).gpu_at_work == one.gpu_at_work
    # The denoiser works on all four in any case.
    for more in ({"tiling": True}, {"tiling": True, "slicing": True}):
        assert estimate(picture(max_batch=4, **more), tmp_path, GPU).gpu_at_work == 4 * 64 * 64 * DENOISED_PIXEL


def test_the_judge_of_pictures_is_counted(tmp_path: Path) -> None:
    pipeline(tmp_path / "i")
    safetensors(tmp_path / "clip" / "model.safetensors", a=("F16", 5000))
    (tmp_path / "clip" / "pytorch_model.bin").write_bytes(bytes(9000))
    for on, kind in ((GPU, "gpu"), (CPU, "host")):
        plain, judged = (getattr(estimate(picture(**more), tmp_path, on), kind) for more in ({}, {"scorer": "clip"}))
        assert judged - plain == (5000 if on is GPU else 10000)


# ---------------------------------------------------------------- files


def test_one_variant_of_a_pipeline_is_counted(tmp_path: Path) -> None:
    for folder in ("unet", "vae"):
        safetensors(tmp_path / "i" / folder / "model.safetensors", a=("F32", 4000))
        safetensors(tmp_path / "i" / folder / "model.fp16.safetensors", a=("F16", 2000))
    (tmp_path / "i" / "unet" / "model.bin").write_bytes(bytes(4000))
    assert weights.stored(picture(), tmp_path).float_bytes == 8000
    assert weights.stored(picture(variant="fp16"), tmp_path).float_bytes == 4000
    assert {name: part.float_bytes for name, part in weights.parts(picture(), tmp_path).items()} == {
        "unet": 4000,
        "vae": 4000,
    }


def test_weights_that_lie_there_twice_are_counted_once(tmp_path: Path) -> None:
    for name in ("model-1.safetensors", "model-2.safetensors", "consolidated.safetensors"):
        safetensors(tmp_path / "chat" / name, a=("F16", 2000))
    assert weights.stored(chat(), tmp_path).float_bytes == 4000
    (tmp_path / "chat" / "model-1.safetensors").unlink()
    (tmp_path / "chat" / "model-2.safetensors").unlink()
    assert weights.stored(chat(), tmp_path).float_bytes == 2000


def test_a_file_is_its_own_part(tmp_path: Path) -> None:
    (tmp_path / "chat.gguf").write_bytes(bytes(700))
    assert weights.parts(chat(path="chat.gguf"), tmp_path) == {"": weights.Stored(other_bytes=700)}


@pytest.mark.parametrize("content", [b"", b"short", struct.pack("<Q", 2**60), struct.pack("<Q", 4) + b"{{{{"])
def test_a_damaged_weight_file_counts_by_its_size(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chat").mkdir()
    (tmp_path / "chat" / "model.safetensors").write_bytes(content)
    assert weights.stored(chat(), tmp_path).other_bytes == len(content)


def test_a_folder_that_is_missing_weighs_nothing(tmp_path: Path) -> None:
    gone: dict[str, Any] = {"adapters": [{"name": "x", "path": "nowhere"}]}
    assert weights.in_folder(tmp_path / "nowhere") == weights.Stored()
    assert estimate(chat(**gone), tmp_path, GPU) == estimate(chat(), tmp_path, GPU)


def test_an_encoder_works_on_the_processor(tmp_path: Path) -> None:
    (tmp_path / "e" / "onnx").mkdir(parents=True)
    (tmp_path / "e" / "onnx" / "model.onnx").write_bytes(bytes(5000))
    (tmp_path / "e" / "config.json").write_text(json.dumps({"hidden_size": 64}))
    spec = EmbedModel.model_validate({"name": "e", "engine": "embed", "path": "e", "tokens_at_once": 100})
    work = 100 * 64 * EMBED_WORK
    expected = Need(host=EMBED_HOST + 5000 + work, at_work=work, loading=5000)
    assert estimate(spec, tmp_path, CPU) == estimate(spec, tmp_path, GPU) == expected
