"""What the acceptance run reads from NVML, by a stand-in for it: also where the driver hides processes, or raises."""

from types import SimpleNamespace
from typing import Any

import pytest

from scripts.acceptance import gpu, start
from scripts.acceptance.check import Findings
from scripts.acceptance.setting import Running, Setting

GIB = 2**30


class StandInError(Exception):
    """NVML's."""


class StandIn:
    """pynvml with two devices. broken: names of functions that raise, as under MIG, WSL2 or vGPU."""

    NVMLError = StandInError
    NVML_DEVICE_MIG_ENABLE = 1
    NVML_GPU_VIRTUALIZATION_MODE_VGPU = 2

    def __init__(self, running: dict[int, list[tuple[int, int | None]]], broken: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self._running = running
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            if name in self._broken:
                raise StandInError(name)
            device = arguments[0] if arguments else 0
            return {
                "nvmlInit": None,
                "nvmlShutdown": None,
                "nvmlDeviceGetCount": 2,
                "nvmlDeviceGetHandleByIndex": device,
                "nvmlDeviceGetName": "Stand-in",
                "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=80 * GIB, used=(device + 1) * GIB),
                "nvmlDeviceGetMigMode": (0, 0),
                "nvmlDeviceGetVirtualizationMode": 0,
                "nvmlDeviceGetCudaComputeCapability": (9, 0),
                "nvmlSystemGetCudaDriverVersion_v2": 13010,
                "nvmlSystemGetDriverVersion": "580.65.06",
                "nvmlDeviceGetComputeRunningProcesses": [
                    SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self._running.get(device, [])
                ],
            }[name]

        return call


def use(monkeypatch: pytest.MonkeyPatch, stand_in: StandIn) -> None:
    monkeypatch.setattr(gpu, "pynvml", stand_in)


def test_bytes_are_told_by_device_and_only_of_the_processes_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, StandIn({0: [(7, 3 * GIB), (8, GIB), (9, 5 * GIB)], 1: [(8, 2 * GIB)]}))
    assert gpu.held({7, 8}) == {0: 4 * GIB, 1: 2 * GIB}
    assert gpu.used() == {0: GIB, 1: 2 * GIB}
    assert gpu.driver() == ("580.65.06", (13, 1))
    assert gpu.devices()[1] == gpu.Device(1, "Stand-in", 80 * GIB, 2 * GIB, (9, 0), mig=False, virtual=False)


@pytest.mark.parametrize(
    "stand_in",
    [
        StandIn({0: [(7, None)]}),
        StandIn({0: [(70007, GIB)]}),
        StandIn({}),
        StandIn({0: [(7, GIB)]}, {"nvmlDeviceGetComputeRunningProcesses"}),
        StandIn({0: [(7, GIB)]}, {"nvmlInit"}),
    ],
    ids=["no amounts", "ids of another namespace", "no processes", "raises", "no driver"],
)
def test_what_the_driver_hides_is_none_and_not_nothing(monkeypatch: pytest.MonkeyPatch, stand_in: StandIn) -> None:
    use(monkeypatch, stand_in)
    assert gpu.held({7}) is None


def test_a_device_that_knows_neither_mig_nor_shares_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"nvmlDeviceGetMigMode", "nvmlDeviceGetVirtualizationMode", "nvmlDeviceGetCudaComputeCapability"}
    use(monkeypatch, StandIn({}, broken))
    assert [(device.mig, device.virtual, device.capability) for device in gpu.devices()] == [(None, False, (0, 0))] * 2


def test_without_a_driver_there_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, StandIn({}, {"nvmlInit"}))
    assert gpu.devices() == []
    with pytest.raises(LookupError, match="no NVIDIA driver"):
        gpu.driver()


@pytest.mark.parametrize("hidden", [False, True])
def test_where_processes_are_hidden_the_start_goes_by_the_devices_growth(
    monkeypatch: pytest.MonkeyPatch, hidden: bool, tmp_path: Any
) -> None:
    process = SimpleNamespace(pid=7, cmdline=lambda: ["sagehold"])
    monkeypatch.setattr(start, "tree", lambda pid: [process])
    use(monkeypatch, StandIn({0: [(7, None if hidden else GIB)]}))
    running = Running("", "", 7, "", 1.0, {"smollm2-135m-instruct": 1.0}, {0: 0, 1: 2 * GIB})
    findings = Findings()
    start.on_gpu(Setting(models_dir=tmp_path, work=tmp_path, gpu=True, running=running), findings)
    assert findings.figures[0].value == 1.0
    assert bool(findings.notes) == hidden
    assert [figure.value for figure in findings.figures[1:]] == ([] if hidden else ["yes"])
