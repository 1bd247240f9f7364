"""From a model's config to its engine: the one place that knows which engine serves which kind of config.

Engines don't know the configs' schema: they get plain values. The heavy imports sit in the creators.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from server.engines import cl100k, openmp
from server.engines.base import Engine
from server.engines.devices import gpus
from server.engines.malloc import keeping
from server.engines.pulse import Patience
from server.models.config import weights
from server.models.config.spec import (
    DiffusersModel,
    EmbedModel,
    FakeModel,
    ModelBase,
    ModelSpec,
    PiperModel,
    VllmModel,
    WhisperModel,
)
from server.models.memory.allotment import Allotment

WORKERS: Mapping[type[ModelBase], str] = {
    WhisperModel: "server.engines.whisper.handler:create",
    PiperModel: "server.engines.piper.handler:create",
    DiffusersModel: "server.engines.diffusers.handler:create",
    EmbedModel: "server.engines.embed.handler:create",
}


def make_engine(spec: ModelSpec, *, models_dir: Path, allotment: Allotment, patience: Patience | None = None) -> Engine:
    """An engine for `spec`, not started yet. patience: with processes that hang; as `Patience()` if not given."""
    match spec:
        case VllmModel():
            return _vllm(spec, models_dir, allotment, patience)
        case FakeModel():
            from server.engines.fake.engine import FakeEngine

            return FakeEngine(spec.tasks, spec.options)
        case _:
            from server.engines.worker.engine import WorkerEngine

            return WorkerEngine(
                WORKERS[type(spec)],
                worker_options(spec, models_dir),
                name=spec.name,
                concurrency=spec.parallel,
                environment={**gpus.environment(allotment.gpus), **_computing(spec, allotment)},
                patience=patience,
            )


def _computing(spec: ModelSpec, allotment: Allotment) -> Mapping[str, str]:
    """Environment of a worker that computes on processors. Pictures take thousands of short parallel loops, and their
    worker gives way to others."""
    if allotment.gpus:
        return {}
    return {**keeping(), **(openmp.long_patience() if isinstance(spec, DiffusersModel) else {})}


def worker_options(spec: ModelSpec, models_dir: Path) -> dict[str, Any]:
    """What a worker's `create` gets: the config's fields of that kind of model, `name`, and its paths, absolute."""
    fields = spec.model_dump(mode="json", exclude={*ModelBase.model_fields, "engine"})
    if isinstance(spec, DiffusersModel) and spec.scorer is not None:
        fields["scorer"] = str((models_dir / spec.scorer).resolve())
    if isinstance(spec, EmbedModel):
        fields["cl100k"] = str((models_dir / cl100k.TABLE).resolve())
    return {**fields, "name": spec.name, "path": str(weights.location(spec, models_dir))}


def _vllm(spec: VllmModel, models_dir: Path, allotment: Allotment, patience: Patience | None) -> Engine:
    from server.engines.vllm.engine import VllmEngine
    from server.engines.vllm.options import VllmOptions

    return VllmEngine(
        VllmOptions(
            name=spec.name,
            path=weights.location(spec, models_dir),
            dtype=spec.dtype,
            eager=spec.eager,
            max_model_len=spec.max_model_len,
            max_num_seqs=spec.max_num_seqs,
            kv_cache=int(spec.kv_cache) if allotment.kv_cache is None else allotment.kv_cache,
            kv_cache_dtype=spec.kv_cache_dtype,
            max_num_batched_tokens=spec.max_num_batched_tokens,
            tensor_parallel_size=spec.tensor_parallel_size,
            pipeline_parallel_size=spec.pipeline_parallel_size,
            data_parallel_size=spec.data_parallel_size,
            cpu_offload=int(spec.cpu_offload),
            gpus=allotment.numbers,
            gpu_share=allotment.gpu_share,
            gpu_memory_utilization=spec.gpu_memory_utilization,
            quantization=spec.quantization,
            tool_parser=spec.tool_parser,
            reasoning_parser=spec.reasoning_parser,
            chat_template=Path(spec.chat_template) if spec.chat_template else None,
            images=spec.images,
            fim=(spec.fim.prefix, spec.fim.suffix, spec.fim.middle) if spec.fim else None,
            audio=spec.audio,
            max_audio_seconds=spec.max_audio_seconds,
            adapters={adapter.name: (models_dir / adapter.path).resolve() for adapter in spec.adapters},
            speculative_config=_drafting(spec, models_dir),
            hf_overrides=spec.hf_overrides,
            tokenizer_mode=spec.tokenizer_mode,
            load_format=spec.load_format,
            extra=spec.extra,
        ),
        patience,
    )


def _drafting(spec: VllmModel, models_dir: Path) -> dict[str, Any] | None:
    """speculative_config with the place of the model that drafts in full, where it is one of SAGEHOLD_MODELS_DIR."""
    config = spec.speculative_config
    if config is None or not isinstance(config.get("model"), str) or not (models_dir / config["model"]).exists():
        return config
    return config | {"model": str((models_dir / config["model"]).resolve())}
