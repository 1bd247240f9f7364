"""The servers that checks share, and their configs. One is up at a time, since each may want the whole machine.

starters  the starter models, as a user starts them
pair      two lazy chat models on the same weights, and memory for one of them: on a GPU, GPU memory
tight     the same, but host memory is short: one must end before the other can begin
shared    a chat model and an image model on one GPU, of random weights; the starter models on a processor
"""

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from scripts.acceptance import dummies, gpu
from scripts.acceptance.runner import ROOT, StandError
from scripts.acceptance.setting import Running, Setting
from scripts.benchmarks.processes import Server, Side, begin
from scripts.benchmarks.sides import sagehold

STARTERS = ("smollm2-135m-instruct", "whisper-tiny-en", "piper-en-us-joe", "starter-image")
CHAT, EAR, VOICE, PAINTER = STARTERS
PAIR = ("first", "second")
DUMMY_CHAT, DUMMY_PAINTER = "dummy-chat", "dummy-painter"
START = 240.0
"""Seconds that a stand may take to start."""
MAKING = 180.0
"""Seconds that making the weights of a dummy may take."""
SETTLED = frozenset({"ready", "failed", "asleep"})
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Plan:
    """How a stand's server is started. models: those that it waits for. settings: SAGEHOLD_*, by their own names."""

    configs: Path
    models: tuple[str, ...]
    served: tuple[str, ...]
    settings: Mapping[str, str]


class ServerStands:
    """Stands made of real servers of this tree's code. A stand that failed to start is not tried again."""

    def __init__(self, setting: Setting, begin_server: Callable[[Side, Path], Server] = begin) -> None:
        self._setting = setting
        self._begin = begin_server
        self._up: tuple[str, Server, Running] | None = None
        self._failed: dict[str, str] = {}

    def get(self, name: str, within: float) -> Running:
        name = same_as(name, self._setting.gpu)
        if self._up is not None and self._up[0] == name and not self._up[1].ended:
            return self._up[2]
        self.end()
        if name in self._failed:
            raise StandError(self._failed[name])
        try:
            return self._start(name, min(within, START))
        except StandError as error:
            self._failed[name] = str(error)
            raise

    def end(self) -> None:
        if self._up is not None:
            up, self._up = self._up, None
            up[1].stop()

    def _start(self, name: str, within: float) -> Running:
        folder = self._setting.work / "stands" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        begun = time.monotonic()
        plan = plan_for(name, self._setting, folder)
        before = gpu.used()
        side = sagehold(
            folder / "data",
            model=",".join(plan.served),
            models_dir=self._setting.models_dir.resolve(),
            configs=plan.configs,
            name=name,
            environment={"SAGEHOLD_LOG_LEVEL": "warning", **plan.settings},
        )
        started = time.monotonic()
        server = self._begin(side, folder)
        self._up = name, server, Running(server.url, "", server.pid, str(server.log), 0.0, {})
        try:
            seconds = settle(server, plan.models, started, within=within - (started - begun))
        except StandError:
            self.end()
            raise
        took = time.monotonic() - started
        server.tree()  # it knows them from now on, and ends them even if the front end is gone by then
        running = Running(server.url, server.key or "", server.pid, str(server.log), took, seconds, before)
        self._up = name, server, running
        return running


def settle(server: Server, models: Sequence[str], begun: float, *, within: float) -> dict[str, float | None]:
    """Wait until the server has said its key and each of the models is ready or has failed: the others can be looked
    at all the same. It answers /ready before it has a key, and with no model to load that would be all to wait for.

    Seconds since `begun` until each was ready, None for one that failed. Raises StandError if none of them is.
    """
    seconds: dict[str, float | None] = {}
    heard = False
    while True:
        if server.ended:
            raise StandError(f"the server ended while it started: {_tail(server)}")
        with contextlib.suppress(httpx.TransportError):
            states = httpx.get(f"{server.url}/ready", timeout=5, trust_env=False).json()["models"]
            heard = True
            for model in set(models) - set(seconds):
                if states.get(model) in SETTLED:
                    seconds[model] = None if states[model] == "failed" else time.monotonic() - begun
        if heard and server.key is not None and set(models) <= set(seconds):
            break
        if time.monotonic() - begun > within:
            late = sorted(set(models) - set(seconds))
            raise StandError(
                f"not up after {within:.0f} s, waiting for {', '.join(late) or 'its key'}: {_tail(server)}"
            )
        time.sleep(0.1)
    if models and all(taken is None for taken in seconds.values()):
        raise StandError(f"no model could be loaded: {_tail(server)}")
    return seconds


def same_as(name: str, gpu: bool) -> str:
    """The stand that serves in the place of `name`: a processor has one kind of memory to be short of."""
    return name if gpu else {"tight": "pair", "shared": "starters"}.get(name, name)


def installed(models_dir: Path) -> tuple[str, ...]:
    """The starter models that are there."""
    return tuple(name for name in STARTERS if (models_dir / name).is_dir())


def plan_for(name: str, setting: Setting, folder: Path) -> Plan:
    """Write the stand's configs into `folder`. Raises StandError if its models can't be had here."""
    match name:
        case "starters":
            there = installed(setting.models_dir)
            if not there:
                raise StandError(f"no starter model is in {setting.models_dir}; scripts/models brings them")
            return Plan(ROOT / "model_configs", there, there, {})
        case "pair" | "tight":
            path = setting.models_dir / CHAT
            if not path.is_dir():
                # On a processor a model takes what it takes: two tiny ones would both fit. On a GPU it takes its grant.
                path = _dummy(setting, "chat", "tiny" if setting.gpu else "llama-1b")
            configs = _configs(folder, [_twin(twin, path, setting) for twin in PAIR])
            short = "gpu" if setting.gpu and name == "pair" else "host"
            return Plan(configs, (), PAIR, BUDGETS[short])
        case "shared":
            configs = _configs(folder, [_dummy_chat(setting), _painter(setting)])
            return Plan(configs, (DUMMY_CHAT, DUMMY_PAINTER), (DUMMY_CHAT, DUMMY_PAINTER), {})
    raise StandError(f"there is no stand {name}")


BUDGETS: Mapping[str, Mapping[str, str]] = {
    # One model's 4 GiB and what the other keeps while it sleeps, but not two models.
    "gpu": {"SAGEHOLD_GPU_MEMORY": str(6 * GIB)},
    # One model's 4 GiB and the front end, but not what a loaded one holds beside them.
    "host": {"SAGEHOLD_HOST_MEMORY": str(int(6.5 * GIB))},
}


def _twin(name: str, path: Path, setting: Setting) -> dict[str, Any]:
    """A chat model that is loaded by its first request; twice the same weights, so that a swap can be seen by names."""
    config: dict[str, Any] = {"name": name, "engine": "vllm", "path": str(path.resolve()), "load": "lazy"}
    config |= {"max_model_len": 2048, "max_num_seqs": 16, "eager": True}
    if not has_weights(path):
        config["load_format"] = "dummy"
    if setting.gpu:
        return config | {"kv_cache": "1GiB", "gpu_memory": "4GiB", "host_memory": "4GiB"}
    return config | {"kv_cache": "2GiB", "host_memory": "4GiB"}


def has_weights(path: Path) -> bool:
    """Whether the file holds more than a hole: as many blocks as bytes, nearly."""
    file = (path / "model.safetensors").stat()
    return file.st_blocks * 512 > file.st_size // 2


def _dummy_chat(setting: Setting) -> dict[str, Any]:
    shape = dummies.fitting(smallest_gpu())
    return chat_config(DUMMY_CHAT, _dummy(setting, "chat", shape)) | {"gpu_memory": f"{int(smallest_gpu() * 0.4)}B"}


def chat_config(name: str, path: Path) -> dict[str, Any]:
    """A chat model of random weights; CUDA graphs for decoding and no compilation, which would take minutes."""
    return {
        "name": name,
        "engine": "vllm",
        "path": str(path.resolve()),
        "load_format": "dummy",
        "kv_cache": "2GiB",
        "max_model_len": 4096,
        "max_num_seqs": 256,
        "extra": {"compilation_config": {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}},
    }


def _painter(setting: Setting) -> dict[str, Any]:
    real = setting.models_dir / "stable-diffusion-xl-base-1.0"
    path = real if real.is_dir() else _dummy(setting, "pictures", "sdxl")
    config: dict[str, Any] = {"name": DUMMY_PAINTER, "engine": "diffusers", "path": str(path.resolve())}
    config |= {"size": [1024, 1024], "steps": 20, "guidance": 5.0, "max_batch": 1, "dtype": "bfloat16"}
    if (path / "unet/diffusion_pytorch_model.fp16.safetensors").is_file():
        config["variant"] = "fp16"
    return config


def smallest_gpu() -> int:
    """Bytes of the device with the least memory. Raises StandError without one."""
    found = gpu.devices()
    if not found:
        raise StandError("NVML tells of no GPU")
    return min(device.total for device in found)


def _dummy(setting: Setting, kind: str, shape: str) -> Path:
    """A model of random weights, made once and kept. Raises StandError if it can't be made."""
    folder = setting.work / "dummies" / shape
    if (folder / ".complete").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "scripts.acceptance.dummies", kind, shape, str(folder)]
    tokenizer = setting.models_dir / CHAT
    if kind == "chat" and tokenizer.is_dir():
        command += ["--tokenizer", str(tokenizer)]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MAKING, check=False)
    except subprocess.TimeoutExpired:
        raise StandError(f"the model {shape} of random weights was not made within {MAKING:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise StandError(f"the model {shape} of random weights was not made: {said[-1] if said else done.returncode}")
    (folder / ".complete").touch()
    return folder


def dummy_chat_configs(setting: Setting, folder: Path, **changes: Any) -> Path:
    """A folder with the config of the largest dummy chat model that fits twice. Raises StandError."""
    config = chat_config(DUMMY_CHAT, _dummy(setting, "chat", dummies.fitting(smallest_gpu())))
    return _configs(folder, [config | changes])


def _configs(folder: Path, configs: Sequence[Mapping[str, Any]]) -> Path:
    made = folder / "configs"
    made.mkdir(parents=True, exist_ok=True)
    for config in configs:
        (made / f"{config['name']}.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
    return made


def _tail(server: Server) -> str:
    return " | ".join(_worth_reading(server.tail().splitlines()))[-600:] or "it said nothing"


def _worth_reading(lines: Sequence[str]) -> Iterator[str]:
    """Without the key that a first start prints, and empty lines."""
    yield from (line.strip() for line in lines[-8:] if line.strip() and "sk-sage-" not in line)
