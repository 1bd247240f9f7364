"""How each server is started: ours, and vLLM's own with the arguments that our engine gives to vLLM."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.benchmarks.processes import Side
from server.engines.malloc import SETTINGS
from server.engines.openmp import LONG_SPINCOUNT
from server.engines.vllm import environment as vllm_environment
from server.engines.vllm.engine import VllmEngine
from server.models.config.catalog import Catalog
from server.models.config.spec import VllmModel
from server.models.factory import make_engine
from server.models.memory.allotment import Allotment
from server.offline import SWITCHES
from server.settings import PREFIX

REPOSITORY = Path(__file__).resolve().parents[2]
SAME_OPENMP: Mapping[str, str] = {"GOMP_SPINCOUNT": LONG_SPINCOUNT, "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
"""Our workers run a thread a core, bound to none; vLLM's own leave one core to its scheduler and bind the others. Its
threads spin as long as ours do while nobody else wants their cores."""
TUNING = (
    *("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "VLLM_LOGGING_LEVEL", "LD_PRELOAD", "GLIBC_TUNABLES"),
    *SETTINGS,
)
"""Variables that would change what is measured, and are not handed on."""


def chat_model(models_dir: Path, name: str | None, configs: Path | None = None) -> VllmModel:
    """The installed chat model of that name, or the first, by our own configs or others. Raises LookupError."""
    installed = Catalog.load(configs or REPOSITORY / "model_configs", models_dir, None).models
    for spec in installed:
        if isinstance(spec, VllmModel) and name in (None, spec.name):
            return spec
    raise LookupError(f"the chat model {name} is not installed" if name else "no chat model is installed")


def sagehold(
    data_dir: Path,
    *,
    model: str,
    models_dir: Path,
    name: str = "sagehold",
    everything: bool = False,
    configs: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Side:
    """This server with its chat model, or with `everything` that is installed."""
    command = [sys.executable, "-m", "server", "serve", "--port", "{port}", "--data-dir", str(data_dir)]
    command += ["--models-dir", str(models_dir), "--model-configs", str(configs or REPOSITORY / "model_configs")]
    if not everything:
        command += ["--models", model]
    return Side(name, tuple(command), side_environment(environment), "/ready", model)


def vllm(
    spec: VllmModel, *, models_dir: Path, name: str = "vLLM", environment: Mapping[str, str] | None = None
) -> Side:
    """vLLM's own API server with the settings of our engine."""
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", "{port}"]
    command += flags(engine_arguments(spec, models_dir))
    if spec.chat_template:
        command += ["--chat-template", spec.chat_template]
    if spec.tool_parser:
        command += ["--enable-auto-tool-choice", "--tool-call-parser", spec.tool_parser]
    variables = dict(side_environment(environment))
    # The same choices as ours. Without, it would want FlashInfer, which the lock leaves out.
    vllm_environment.prepare(variables)
    return Side(name, tuple(command), variables, "/health", spec.name)


def engine_arguments(spec: VllmModel, models_dir: Path) -> Mapping[str, Any]:
    """The arguments that our engine gives to vLLM for this model."""
    engine = make_engine(spec, models_dir=models_dir, allotment=Allotment())
    assert isinstance(engine, VllmEngine)
    return engine.arguments()


def flags(arguments: Mapping[str, Any]) -> list[str]:
    """Keyword arguments of vLLM's AsyncEngineArgs as flags of its server: structures as JSON, None as no flag."""
    words: list[str] = []
    for name, value in arguments.items():
        flag = name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, list | tuple):
            words += [f"--{flag}", ",".join(map(str, value))]
        elif isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif is_dataclass(value) and not isinstance(value, type):
            words += [f"--{flag}", json.dumps(asdict(value))]
        elif isinstance(value, Mapping):
            words += [f"--{flag}", json.dumps(dict(value))]
        else:
            words += [f"--{flag}", str(value)]
    return words


def configs_with(folder: Path, spec: VllmModel, **changes: Any) -> Path:
    """A copy of the model configs in which one model's fields are changed."""
    copy = folder / "-".join(["configs", *map(str, changes.values())])
    shutil.copytree(REPOSITORY / "model_configs", copy)
    for file in copy.glob("*.yaml"):
        documents = list(yaml.safe_load_all(file.read_text()))
        if any(document.get("name") == spec.name for document in documents):
            changed = [one | changes if one.get("name") == spec.name else one for one in documents]
            file.write_text(yaml.safe_dump_all(changed))
    return copy


def side_environment(extra: Mapping[str, str] | None) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) and name not in TUNING}
    return {**kept, **SWITCHES, **(extra or {})}
