"""How `scripts/bench` starts what it compares, and what it says of the rounds."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from scripts.benchmarks.figures import Figures
from scripts.benchmarks.load import Load, Sample
from scripts.benchmarks.processes import Side, StartError, paused, serving
from scripts.benchmarks.report import machine, summary
from scripts.benchmarks.sides import REPOSITORY, configs_with, flags, vllm
from server.models.config.files import read_configs
from server.models.config.spec import VllmModel


@dataclass
class Nested:
    backend: str = "guidance"


def test_engine_arguments_become_flags_of_vllms_server() -> None:
    assert flags(
        {
            "model": "folder",
            "enforce_eager": True,
            "enable_log_requests": False,
            "structured_outputs_config": Nested(),
            "limit_mm_per_prompt": {"image": 0},
            "kv_cache_memory_bytes": 1024,
            "device_ids": [0, 1],
            "max_model_len": None,
        }
    ) == [
        "--model", "folder", "--enforce-eager", "--no-enable-log-requests",
        "--structured-outputs-config", '{"backend": "guidance"}', "--limit-mm-per-prompt", '{"image": 0}',
        "--kv-cache-memory-bytes", "1024", "--device-ids", "0,1",
    ]  # fmt: skip


def test_vllms_server_does_without_flashinfer_as_ours_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it isn't installed, vLLM's own choice ends the server at its start."""
    spec = VllmModel.model_validate({"name": "chat", "engine": "vllm", "path": "chat"})
    monkeypatch.delenv("VLLM_USE_FLASHINFER_SAMPLER", raising=False)
    assert vllm(spec, models_dir=tmp_path).environment["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    monkeypatch.setenv("VLLM_USE_FLASHINFER_SAMPLER", "1")
    assert vllm(spec, models_dir=tmp_path).environment["VLLM_USE_FLASHINFER_SAMPLER"] == "1"


def test_a_server_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    side = Side("broken", ("sh", "-c", "echo out of memory; exit 3"), {"PATH": "/bin:/usr/bin"}, "/ready", "m")
    with pytest.raises(StartError, match=r"broken ended while it started:\nout of memory"), serving(side, tmp_path):
        pytest.fail("it was never ready")


def test_what_a_server_began_ends_with_it(tmp_path: Path) -> None:
    program = (
        "import http.server, subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "class Ready(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self): self.send_response(200); self.end_headers()\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Ready).serve_forever()\n"
    )
    side = Side("small", (sys.executable, "-c", program, "{port}"), {}, "/", "m")
    with serving(side, tmp_path) as server:
        tree = set(server.tree())
        assert len(tree) == 2
        assert server.start_seconds > 0
        server.freeze()
        server.thaw()
    assert not any(process.is_running() for process in tree)


def test_the_summary_compares_round_by_round() -> None:
    load = Load(streams=16, requests=32)
    samples = [
        Sample(side, load, number, Figures(speed * (number + 1), 10.0, 5.0, 9.0), others)
        for number in range(3)
        for side, speed, others in (("ours", 110.0, 0.0), ("vLLM", 100.0, 0.1))
    ]
    ours, theirs = summary(samples, "vLLM")
    assert ours["throughput_ratio"] == {"median": 1.1, "low": 1.1, "high": 1.1, "rounds": 3}
    assert (ours["disturbed_rounds"], theirs["disturbed_rounds"]) == (0, 3)
    assert theirs["throughput"]["median"] == 200.0


def test_the_machine_is_told_in_general_words(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name\t: Some Processor\nflags\t\t: sse2 avx2 amx_bf16\nmodel name\t: Some Processor\n")
    described = machine(cpuinfo)
    assert (described["processor"], described["flags"]) == ("Some Processor", ["avx2", "amx_bf16"])
    assert {"cores", "memory_gib", "versions", "date"} <= described.keys()


def test_what_is_paused_goes_on_afterwards() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        try:
            process = psutil.Process(child.pid)
            with paused([child.pid]):
                os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
                assert process.status() == psutil.STATUS_STOPPED
            os.waitid(os.P_PID, child.pid, os.WCONTINUED | os.WNOWAIT)
            assert process.status() != psutil.STATUS_STOPPED
        finally:
            child.kill()
    with paused([child.pid]):  # it has ended
        pass


def test_a_copy_of_the_configs_differs_in_the_named_field_only(tmp_path: Path) -> None:
    spec = VllmModel(name="smollm2-135m-instruct", engine="vllm", path="x")
    changed = read_configs([configs_with(tmp_path, spec, dtype="float32")])
    before = read_configs([REPOSITORY / "model_configs"])
    assert len(changed.bundles) == len(before.bundles) > 0
    for old, new in zip(before.models, changed.models, strict=True):
        update = {"dtype": "float32"} if old.spec.name == spec.name else {}
        assert new.spec == old.spec.model_copy(update=update)
