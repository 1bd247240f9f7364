"""The config of a chat model that vLLM serves."""

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from server.core import Task
from server.models.config.model_base import GpuModel, Name, Price
from server.models.config.quality import ChatQuality
from server.models.config.senses import Senses
from server.models.config.strict import Strict
from server.models.config.vllm_extra import refusal
from server.sizes import Size


class ChatDefaults(Strict):
    """Sampling where the client said nothing: what a name's documentation promises. A quality mode changes it only
    where the client chose that mode, and the answer then says so. The OpenAI API's own defaults apply where this is
    silent too.
    """

    max_tokens: int | None = Field(
        default=None,
        ge=1,
        description="limit of generated tokens where the client gave none; null: the room that is left in the context",
    )
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)


class Adapter(Strict):
    """A LoRA adapter of the model, served under a name of its own."""

    name: Name = Field(description="its public name")
    path: str = Field(description="folder with adapter_config.json, relative to SAGEHOLD_MODELS_DIR, or absolute")
    description: str = Field(default="", description="one line for people, shown by /v1/models")
    price: Price | None = Field(default=None, description="overrides the model's own price where set, field by field")


class FillInTheMiddle(Strict):
    """The strings of a model that was trained to fill in the middle, in the order prefix, suffix, middle."""

    prefix: str = Field(min_length=1, description="stands before the text that is there, such as <|fim_prefix|>")
    suffix: str = Field(min_length=1, description="stands before what comes after, such as <|fim_suffix|>")
    middle: str = Field(default="", description="stands at the end, where the model goes on, such as <|fim_middle|>")


class VllmModel(GpuModel, Senses):
    """A chat model served by vLLM, in this process tree."""

    engine: Literal["vllm"]
    defaults: ChatDefaults = ChatDefaults()
    quality: ChatQuality = ChatQuality()
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="auto: bfloat16 on CUDA and on processors with AVX512-BF16 or AMX, else float32",
    )
    eager: bool | None = Field(
        default=None, description="true: no torch.compile and no CUDA graphs; null: true on a processor, false on CUDA"
    )
    max_model_len: int | None = Field(
        default=None, ge=16, description="context length in tokens; null: the model's own"
    )
    max_num_seqs: int | None = Field(
        default=None,
        ge=1,
        description="sequences in one continuous batch; null: 16 a core, at most 128; on a GPU vLLM's default",
    )
    kv_cache: Size = Field(
        default=1 << 30,
        ge=1 << 26,
        description="memory for the KV cache: on a processor exactly this, on a GPU at least this",
    )
    kv_cache_dtype: str | None = Field(
        default=None, description="type of the KV cache: fp8, fp8_e4m3 …; null: the model's own"
    )
    max_num_batched_tokens: int | None = Field(
        default=None,
        ge=1,
        description="tokens in one step of the batch; null: 512 on a processor for text, else vLLM's default",
    )
    tensor_parallel_size: int = Field(default=1, ge=1, description="GPUs that share each layer")
    pipeline_parallel_size: int = Field(default=1, ge=1, description="groups of GPUs that share the layers out")
    data_parallel_size: int = Field(default=1, ge=1, description="copies of the model, each on GPUs of its own")
    cpu_offload: Size = Field(default=0, ge=0, description="bytes of weights kept in host memory, for each GPU")
    gpu_memory_utilization: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="share of the GPU for weights and KV cache; null: what the memory ledger grants",
    )
    quantization: str | None = Field(default=None, description="vLLM's --quantization")
    tool_parser: str | None = Field(
        default=None, description="vLLM tool parser, such as hermes; null: forced calls only"
    )
    reasoning_parser: str | None = Field(default=None, description="vLLM reasoning parser, such as qwen3")
    chat_template: str | None = Field(
        default=None, description="Jinja file beside the configs, for models whose own template lacks tools"
    )
    images: bool = Field(default=False, description="whether the model sees image_url parts")
    fim: FillInTheMiddle | None = Field(
        default=None, description="how the model fills in the middle, for `suffix` in /v1/completions; null: it can't"
    )
    adapters: tuple[Adapter, ...] = Field(default=(), description="LoRA adapters, each a public name of its own")
    speculative_config: dict[str, Any] | None = Field(
        default=None, description="vLLM's --speculative-config, such as {method: ngram, num_speculative_tokens: 4}"
    )
    hf_overrides: dict[str, Any] = Field(
        default_factory=dict, description="replaces entries of the model's config.json, as vLLM's --hf-overrides"
    )
    tokenizer_mode: str | None = Field(default=None, description="vLLM's --tokenizer-mode: auto, hf, mistral …")
    load_format: str | None = Field(
        default=None,
        description="vLLM's --load-format; instanttensor and runai_streamer need their package to be installed",
    )
    extra: dict[str, Any] = Field(
        default_factory=dict,
        description="further AsyncEngineArgs by their own names, passed as they are; those that have a field here are "
        "refused",
    )

    @field_validator("extra")
    @classmethod
    def _fields_are_used(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if wrong := [f"{name}: {refused}" for name in extra if (refused := refusal(name))]:
            raise ValueError("; ".join(wrong))
        return extra

    @model_validator(mode="after")
    def _adapters_differ_in_name(self) -> Self:
        names = [self.name, *(adapter.name for adapter in self.adapters)]
        if len(set(names)) != len(names):
            raise ValueError("adapters: a name is taken twice")
        return self

    def adapted(self, adapter: Adapter) -> "AdaptedModel":
        """The model as its adapter makes it: the same engine and slot, with the adapter's price."""
        own = {name: getattr(self, name) for name in VllmModel.model_fields}
        changes = (
            {unit: getattr(adapter.price, unit) for unit in adapter.price.model_fields_set} if adapter.price else {}
        )
        return AdaptedModel.model_construct(
            **own | {"price": self.price.model_copy(update=changes)}, adapter=adapter.name
        )

    @property
    def gpus_needed(self) -> int:
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size

    @property
    def tasks(self) -> tuple[Task, ...]:
        return (Task.CHAT, Task.COMPLETION, Task.TOKENIZE)

    @property
    def parallel(self) -> int:
        return self.max_num_seqs or 256


class AdaptedModel(VllmModel):
    """What an adapter's public name stands for. Made by `VllmModel.adapted`; no config is one."""

    adapter: Name
