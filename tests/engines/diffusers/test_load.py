"""How a pipeline is set up: device, numbers, offload, pieces, attention, compilation. accelerate's hooks run too."""

import importlib
import logging
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

from server.errors import ModelUnavailable
from server.models.config.spec import DiffusersModel
from tests.tiny_drawing import job, load, pictures, pixels

KINDS = ("sd", "sd3", "flux-dev")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    families = importlib.import_module("tests.tiny_families")
    built: Mapping[str, Path] = families.build_all(tmp_path_factory.mktemp("loads"), *KINDS)
    return built


@pytest.fixture
def loading() -> Any:
    return importlib.import_module("server.engines.diffusers.load")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """torch.cuda as if a GPU were there. `bf16`: whether it computes bfloat16 itself."""
    torch = importlib.import_module("torch")
    card = SimpleNamespace(bf16=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or card.bf16
    )
    return card


class Recorder:
    """A pipeline that notes what is done to it."""

    def __init__(self, **parts: Any) -> None:
        self.done: list[str] = []
        for name, part in parts.items():
            setattr(self, name, part)

    def to(self, device: Any) -> None:
        self.done.append(f"to {device}")

    def enable_model_cpu_offload(self, device: Any) -> None:
        self.done.append(f"model offload {device}")

    def enable_sequential_cpu_offload(self, device: Any) -> None:
        self.done.append(f"sequential offload {device}")


def prepare(loading: Any, pipeline: Any, *, device: str = "cpu", offload: str = "none", **fields: Any) -> None:
    options = loading.DiffusersOptions(path="", size=(32, 32), **fields)
    loading.prepare(pipeline, importlib.import_module("torch").device(device), options, offload=offload)


# ---------------------------------------------------------------- device and numbers


def test_auto_is_the_processor_without_a_gpu_and_the_gpu_with_one(loading: Any, request: pytest.FixtureRequest) -> None:
    assert (loading.device_for("auto").type, loading.device_for("cpu").type) == ("cpu", "cpu")
    with pytest.raises(ModelUnavailable, match="`device: cuda`, and torch finds no GPU"):
        loading.device_for("cuda")
    request.getfixturevalue("gpu")
    assert [loading.device_for(name).type for name in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]


def test_auto_numbers_are_the_best_that_the_device_computes_in(
    loading: Any, gpu: Any, caplog: pytest.LogCaptureFixture
) -> None:
    torch = importlib.import_module("torch")
    processor, card = torch.device("cpu"), torch.device("cuda")
    assert loading.dtype_for("auto", processor) is torch.float32
    assert loading.dtype_for("auto", card) is torch.bfloat16
    gpu.bf16 = False
    assert loading.dtype_for("auto", card) is torch.float16
    assert loading.dtype_for("bfloat16", card) is torch.bfloat16
    assert "emulated" in caplog.text


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_numbers_of_the_config_are_those_of_every_part(folders: Mapping[str, Path], dtype: str) -> None:
    torch = importlib.import_module("torch")
    drawing = load(folders["sd"], dtype=dtype)
    pipeline = drawing.form_for(job()).pipeline
    assert {part.dtype for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {getattr(torch, dtype)}
    assert np.abs(pixels(pictures(drawing, seed=1)[0]) - pixels(pictures(load(folders["sd"]), seed=1)[0])).mean() < 2


def test_weights_go_straight_to_their_device_unless_they_are_offloaded(
    loading: Any, folders: Mapping[str, Path], gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU a copy of the whole pipeline in host memory would be one that nobody reserves."""
    asked: list[Any] = []

    def read(folder: Path, **options: Any) -> Any:
        asked.append(options["device_map"])
        return Recorder(set_progress_bar_config=lambda disable: None)

    monkeypatch.setattr(loading, "DiffusionPipeline", SimpleNamespace(from_pretrained=read))
    done = []
    for offload in ("none", "model", "sequential"):
        options = loading.DiffusersOptions(path=str(folders["sd"]), size=(32, 32), offload=offload)
        pipeline, device = loading.load(options)
        assert device.type == "cuda"
        done += pipeline.done
    assert asked == ["cuda", None, None]
    assert done == ["to cuda", "model offload cuda", "sequential offload cuda"]


# ---------------------------------------------------------------- offload


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offload", ["model", "sequential"])
def test_an_offloaded_pipeline_draws_the_same(
    loading: Any, folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str, offload: str
) -> None:
    """Pictures, previews and drawing over, with the hooks that accelerate sets: only the device is not a GPU."""
    accelerate, torch = importlib.import_module("accelerate"), importlib.import_module("torch")
    by_layer = accelerate.cpu_offload
    # diffusers names the device cpu:0, which for accelerate is another one than the cpu that the weights wait on.
    monkeypatch.setattr(accelerate, "cpu_offload", lambda model, _, **options: by_layer(model, "cpu", **options))
    pipeline = importlib.import_module("diffusers").DiffusionPipeline.from_pretrained(folders[kind])
    pipeline.set_progress_bar_config(disable=True)
    options = loading.DiffusersOptions(path="", size=(32, 32), steps=4)
    loading.prepare(pipeline, torch.device("cpu"), options, offload=offload)
    offloaded = importlib.import_module("server.engines.diffusers.handler").DiffusersHandler(pipeline, options)
    plain = load(folders[kind])
    red = BytesIO()
    Image.new("RGB", (32, 32), "red").save(red, "PNG")
    for fields in ({"partial_images": 1}, {"n": 2, "starts": (red.getvalue(),) * 2, "strength": 0.5}):
        drawn, wanted = pictures(offloaded, seed=1, **fields), pictures(plain, seed=1, **fields)
        assert len(drawn) == len(wanted) == 2
        for one, other in zip(drawn, wanted, strict=True):
            assert np.abs(pixels(one) - pixels(other)).max() <= 1


def test_after_a_redrawing_too_nothing_of_an_offloaded_pipeline_stays_on_the_gpu(
    loading: Any, folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch, diffusers = importlib.import_module("torch"), importlib.import_module("diffusers")
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folders["sd"])
    options = loading.DiffusersOptions(path="", size=(32, 32), steps=4)
    loading.prepare(pipeline, torch.device("cpu"), options, offload="model")
    handler = importlib.import_module("server.engines.diffusers.handler").DiffusersHandler(pipeline, options)
    red = BytesIO()
    Image.new("RGB", (32, 32), "red").save(red, "PNG")
    back: list[str] = []
    moved = diffusers.DiffusionPipeline.to

    def noted(one: Any, device: Any, **how: Any) -> Any:
        back.append(device)
        return moved(one, device, **how)

    monkeypatch.setattr(diffusers.DiffusionPipeline, "to", noted)
    for fields in ({}, {"starts": (red.getvalue(),), "strength": 0.5}):
        back.clear()
        assert len(pictures(handler, **fields)) == 1
        assert back == ["cpu"]


def test_offload_means_nothing_on_a_processor_and_the_model_starts(
    folders: Mapping[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert len(pictures(load(folders["sd"], offload="model"))) == 1
    assert "offload: model has no meaning on a processor" in caplog.text


def test_a_pipeline_that_cannot_be_offloaded_does_not_load(loading: Any) -> None:
    class Fixed(Recorder):
        def enable_model_cpu_offload(self, device: Any) -> None:
            raise ValueError("no `model_cpu_offload_seq` class attribute is set")

    with pytest.raises(ModelUnavailable, match="`offload: model`, which a Fixed can't do"):
        prepare(loading, Fixed(), offload="model")


# ---------------------------------------------------------------- the autoencoder's pieces


@pytest.mark.parametrize(
    ("fields", "tiles", "slices"),
    [
        ({}, False, False),
        ({"tiling": True}, True, True),
        ({"tiling": True, "slicing": False}, True, False),
        ({"slicing": True}, False, True),
    ],
)
def test_tiling_and_slicing_are_chosen_apart(
    folders: Mapping[str, Path], fields: dict[str, bool], tiles: bool, slices: bool
) -> None:
    autoencoder = load(folders["sd"], **fields).form_for(job()).pipeline.vae
    assert (autoencoder.use_tiling, autoencoder.use_slicing) == (tiles, slices)


def test_slices_are_the_same_pictures(folders: Mapping[str, Path]) -> None:
    sliced, whole = (pictures(load(folders["sd"], slicing=slicing), seed=1, n=3) for slicing in (True, False))
    for one, other in zip(sliced, whole, strict=True):
        assert np.abs(pixels(one) - pixels(other)).max() <= 1


def test_a_tiled_autoencoder_draws_the_same_size_and_nearly_the_same(folders: Mapping[str, Path]) -> None:
    tiled = load(folders["sd"], tiling=True)
    autoencoder = tiled.form_for(job()).pipeline.vae
    assert autoencoder.use_tiling
    assert autoencoder.use_slicing
    small, large = {"seed": 1, "n": 2}, {"seed": 1, "width": 64, "height": 48}
    plain = load(folders["sd"])
    for one, other in zip(pictures(tiled, **small), pictures(plain, **small), strict=True):
        assert np.abs(pixels(one) - pixels(other)).max() <= 1  # smaller than a tile
    drawn = pixels(pictures(tiled, **large)[0])
    assert drawn.shape == (48, 64, 3)
    assert np.abs(drawn - pixels(pictures(plain, **large)[0])).mean() < 10


@pytest.mark.parametrize("how", ["tiling", "slicing"])
@pytest.mark.parametrize("parts", [{}, {"vae": None}, {"vae": object()}])
def test_an_autoencoder_that_does_not_work_in_pieces_does_not_load(
    loading: Any, how: str, parts: dict[str, Any]
) -> None:
    with pytest.raises(ModelUnavailable, match=f"`{how}: true`, which the autoencoder of a Recorder can't do"):
        prepare(loading, Recorder(**parts), **{how: True})


# ---------------------------------------------------------------- channels, attention and compilation


def test_channels_are_kept_together_and_the_picture_is_the_same(folders: Mapping[str, Path]) -> None:
    torch = importlib.import_module("torch")
    together, plain = load(folders["sd"], channels_last=True), load(folders["sd"])
    pipeline = together.form_for(job()).pipeline
    for part in (pipeline.unet, pipeline.vae):
        wide = [weight for weight in part.parameters() if weight.ndim == 4]
        assert wide
        assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in wide)
    for one, other in zip(*(pictures(handler, seed=1, n=2) for handler in (together, plain)), strict=True):
        assert np.abs(pixels(one) - pixels(other)).max() <= 1


def test_channels_of_a_transformer_are_refused(folders: Mapping[str, Path]) -> None:
    with pytest.raises(ModelUnavailable, match="`channels_last: true`, which brings a FluxPipeline nothing"):
        load(folders["flux-dev"], channels_last=True)


@pytest.fixture
def chosen_for_all() -> Iterator[None]:
    """diffusers takes what one model chose for every later one of the process; a worker has only one."""
    registry = importlib.import_module("diffusers.models.attention_dispatch")._AttentionBackendRegistry
    before = registry._active_backend
    yield
    registry.set_active_backend(before)


@pytest.mark.usefixtures("chosen_for_all")
@pytest.mark.parametrize("name", ["native", "_native_cudnn"])
def test_attention_is_computed_by_what_the_config_names(loading: Any, folders: Mapping[str, Path], name: str) -> None:
    pipeline = load(folders["flux-dev"]).form_for(job()).pipeline
    loading._choose_attention(pipeline, name, importlib.import_module("torch").device("cuda"))
    assert {block.attn.processor._attention_backend for block in pipeline.transformer.transformer_blocks} == {name}


@pytest.mark.usefixtures("chosen_for_all")
def test_native_attention_draws_the_same(folders: Mapping[str, Path]) -> None:
    one, other = (pictures(load(folders["flux-dev"], **more), seed=1)[0] for more in ({}, {"attention": "native"}))
    assert np.abs(pixels(one) - pixels(other)).max() <= 1


@pytest.mark.parametrize("kind", ["sd", "sd3"])
def test_attention_that_can_not_be_chosen_is_refused(folders: Mapping[str, Path], kind: str) -> None:
    with pytest.raises(ModelUnavailable, match="has no attention that can be chosen"):
        load(folders[kind], attention="native")


def test_attention_for_gpus_is_the_processors_own_without_one(
    folders: Mapping[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assert len(pictures(load(folders["flux-dev"], attention="flash"))) == 1
    assert "attention: flash is for GPUs" in caplog.text


def test_attention_of_a_package_that_is_missing_is_told_at_load(
    loading: Any, folders: Mapping[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline = load(folders["flux-dev"]).form_for(job()).pipeline
    with pytest.raises(ModelUnavailable, match="`attention: sage`, which this installation can't do"):
        prepare(loading, pipeline, device="cuda", attention="sage")
    assert "sageattention" in caplog.text


def test_the_config_knows_only_names_of_attention_that_diffusers_has() -> None:
    known = importlib.import_module("diffusers.models.attention_dispatch").AttentionBackendName
    annotation = DiffusersModel.model_fields["attention"].annotation
    names = [name for literal in get_args(annotation) for name in get_args(literal)]
    assert names
    assert {known(name).value for name in names} == set(names)


class Denoiser:
    def __init__(self, *blocks: str) -> None:
        self._repeated_blocks = list(blocks)  # by this name diffusers' classes say it
        self.compiled: list[str] = []

    def compile(self) -> None:
        self.compiled.append("whole")

    def compile_repeated_blocks(self) -> None:
        self.compiled.append("blocks")


@pytest.mark.parametrize("part", ["unet", "transformer"])
@pytest.mark.parametrize(("blocks", "wanted"), [((), ["whole"]), (("Block",), ["blocks"])])
def test_the_denoiser_is_compiled_by_its_blocks(
    loading: Any, part: str, blocks: tuple[str, ...], wanted: list[str]
) -> None:
    denoiser = Denoiser(*blocks)
    prepare(loading, Recorder(**{part: denoiser}), compile=True)
    assert denoiser.compiled == wanted


@pytest.mark.parametrize(
    ("there", "device", "missing"),
    [
        ((), "cpu", r"a C\+\+ compiler \(g\+\+\)"),
        (("clang++",), "cpu", None),
        (("g++",), "cuda", r"a C compiler \(gcc\)"),
        (("g++", "gcc"), "cuda", None),
    ],
)
def test_compilation_without_a_compiler_is_told_at_load(
    loading: Any, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], device: str, missing: str | None
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(loading.shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda name: name)
    wanted = importlib.import_module("torch").device(device)
    if missing is None:
        loading.demand_compilers(wanted)
        return
    with pytest.raises(ModelUnavailable, match=f"`compile: true`, which needs {missing}, and there is none"):
        loading.demand_compilers(wanted)
