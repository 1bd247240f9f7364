"""The schema of `model_configs/*.yaml`: one file describes one model, or one bundle of public names.

Every field is documented where it is declared: here, what all models have in `model_base.py`, chat in `vllm_spec.py`,
encoders in `embed_spec.py`.
Unknown fields are refused. `catalog.py` reads the files, tells errors with file and line, and resolves public names.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from server.core import Task
from server.models.config.embed_spec import EmbedModel
from server.models.config.model_base import GpuModel, ModelBase, Name, Price, Probe
from server.models.config.quality import (
    QUALITY_OF,
    AnyQuality,
    ImageQuality,
    SpeechQuality,
    TranscriptionQuality,
)
from server.models.config.senses import Senses
from server.models.config.strict import Strict
from server.models.config.vllm_spec import AdaptedModel, Adapter, ChatDefaults, VllmModel

__all__ = [
    "AdaptedModel",
    "Adapter",
    "Bundle",
    "BundleName",
    "ChatDefaults",
    "DiffusersModel",
    "EmbedModel",
    "FakeModel",
    "GpuModel",
    "ModelBase",
    "ModelSpec",
    "Name",
    "PiperModel",
    "PiperVoice",
    "Price",
    "Probe",
    "VllmModel",
    "WhisperModel",
]


class WhisperModel(GpuModel):
    """A Whisper model in CTranslate2 form, served by faster-whisper in a worker process."""

    engine: Literal["whisper"]
    quality: TranscriptionQuality = TranscriptionQuality()
    compute_type: str = Field(
        default="default",
        description="CTranslate2 compute type: int8, float16 …; default: int8 on a processor, float16 on CUDA",
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    beam_size: int = Field(default=5, ge=1, le=20)
    vad: bool = Field(default=False, description="skip silence by voice activity detection before decoding")
    threads: int = Field(default=0, ge=0, description="processor threads; 0: all cores")
    english_only: bool = Field(default=False, description="a .en model: another language, or a translation, is a 400")
    max_seconds: float = Field(default=14400, gt=0, description="longest audio accepted")
    max_batch: int = Field(
        default=4,
        ge=1,
        le=64,
        description="windows of 30 seconds, of one recording or several, that are decoded at once; also how many "
        "recordings are worked on at the same time",
    )

    @property
    def tasks(self) -> tuple[Task, ...]:
        return (Task.TRANSCRIPTION,)

    @property
    def parallel(self) -> int:
        # Windows of as many recordings as a batch has room for can meet in it.
        return self.max_batch


class PiperVoice(Strict):
    """One installed voice and the public names that reach it."""

    file: str = Field(description=".onnx file, relative to the model's path; its .onnx.json lies beside it")
    names: tuple[str, ...] = Field(default=(), description="OpenAI voice names (alloy …) that use this voice")
    speaker: int | None = Field(default=None, ge=0, description="speaker number in a multi-speaker file")
    language: str = Field(default="en-US", description="BCP 47 tag, shown by /v1/audio/voices")
    description: str = ""


class PiperModel(ModelBase):
    """Speech by piper voices, in a worker process. Names that no voice claims use the first voice."""

    engine: Literal["piper"]
    quality: SpeechQuality = SpeechQuality()
    voices: dict[Name, PiperVoice] = Field(min_length=1, description="installed voices by their own id")
    noise_scale: float | None = Field(
        default=None, ge=0, le=2, description="variation of the voice; null: the voice's own"
    )
    noise_w: float | None = Field(
        default=None, ge=0, le=2, description="variation of phoneme lengths; null: the voice's own"
    )
    sentence_pause: float = Field(default=0.2, ge=0, le=5, description="seconds of silence between sentences")
    threads: int = Field(
        default=0, ge=0, description="processor threads, of which 8 at most speak side by side; 0: all cores"
    )

    @model_validator(mode="after")
    def _modes_have_voices(self) -> Self:
        for quality, voice in self.quality.named_voices():
            if voice not in self.voices:
                raise ValueError(f"quality.{quality}.voices names {voice!r}; the voices are {', '.join(self.voices)}")
        return self

    @property
    def tasks(self) -> tuple[Task, ...]:
        return (Task.SPEECH,)

    @property
    def parallel(self) -> int:
        # Their steps take turns (server/engines/piper/turns.py): a short text need not wait until a long one is whole.
        return 8


class DiffusersModel(GpuModel):
    """A text-to-image pipeline folder that `DiffusionPipeline.from_pretrained` loads, in a worker process."""

    engine: Literal["diffusers"]
    quality: ImageQuality = ImageQuality()
    size: tuple[int, int] = Field(description="the model's own width and height in pixels, and the default")
    sizes: tuple[str, ...] = Field(
        default=(),
        description="sizes that may be asked for, such as 512x512; empty: any that the pipeline's factor divides",
    )
    resample: Literal["none", "nearest", "bicubic", "lanczos"] = Field(
        default="none",
        description="how other sizes in `sizes` are made from the model's own; none: the pipeline draws them",
    )
    steps: int = Field(default=30, ge=1, le=200, description="denoising steps")
    guidance: float = Field(default=7.5, ge=0, le=30, description="classifier-free guidance scale")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto: float32 on a processor, bfloat16 on CUDA"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    offload: Literal["none", "model", "sequential"] = Field(
        default="none",
        description="what waits in host memory while it isn't needed, on CUDA: nothing, whole parts of the pipeline, "
        "or single layers (least GPU memory, slowest); without a GPU it changes nothing, and is warned of",
    )
    tiling: bool = Field(
        default=False,
        description="the autoencoder works in tiles: less memory for large pictures, and seams that are hard to see",
    )
    slicing: bool | None = Field(
        default=None,
        description="the autoencoder works on one picture of a batch at a time: the same pictures from less memory; "
        "null: where `tiling` is on",
    )
    channels_last: bool = Field(
        default=False,
        description="convolutions keep the channels of a pixel together, which GPUs compute faster in two-byte floats: "
        "for models with a UNet, such as SDXL; transformers have hardly any convolutions",
    )
    attention: (
        Literal[
            "native",
            "_native_cudnn",
            "_native_efficient",
            "_native_flash",
            "flash",
            "_flash_3",
            "sage",
            "xformers",
        ]
        | None
    ) = Field(
        default=None,
        description="what computes the denoiser's attention, by diffusers' own names, for transformers that can choose "
        "(FLUX, Qwen-Image; not SDXL, SD3); null: torch's, as `native`. flash, _flash_3, sage and xformers are "
        "packages of that kind, and for GPUs; sage rounds to 8 bits",
    )
    compile: bool = Field(
        default=False,
        description="torch.compile of the denoiser, which needs a compiler: minutes at the first picture (that of the "
        "load), at the first batch of several and at the first of each other size, faster from then on; the rows of "
        "those who hang up are computed to the end of their batch",
    )
    variant: str | None = Field(default=None, description="weight variant in the folder, such as fp16")
    max_batch: int = Field(
        default=4,
        ge=1,
        description="images of the model's own size drawn at once, of one request or of several that fit together; of "
        "larger sizes fewer, by their pixels; more are drawn in turns",
    )
    scorer: str | None = Field(
        default=None,
        description="folder of a CLIP model that judges how well a picture fits its prompt, relative to "
        "SAGEHOLD_MODELS_DIR, or absolute; ultra ranks its candidates by it",
    )
    threads: int = Field(default=0, ge=0, description="processor threads; 0: all cores")

    @property
    def sliced(self) -> bool:
        """Whether the autoencoder works on one picture at a time."""
        return self.tiling if self.slicing is None else self.slicing

    @property
    def tasks(self) -> tuple[Task, ...]:
        return (Task.IMAGE,)

    @property
    def parallel(self) -> int:
        # A batch that is drawn, and the next one, which is to be there when that ends.
        return 2 * self.max_batch

    @model_validator(mode="after")
    def _what_needs_a_gpu(self) -> Self:
        if self.offload != "none" and self.device == "cpu":
            raise ValueError(f"offload: {self.offload} is for GPUs, and device is cpu")
        if self.attention not in (None, "native") and self.device == "cpu":
            raise ValueError(f"attention: {self.attention} is for GPUs, and device is cpu")
        return self

    @field_validator("sizes")
    @classmethod
    def _sizes_are_sizes(cls, sizes: tuple[str, ...]) -> tuple[str, ...]:
        for size in sizes:
            width, _, height = size.partition("x")
            if not (width.isdigit() and height.isdigit()):
                raise ValueError(f"{size!r} is not WIDTHxHEIGHT")
        return sizes


class FakeModel(ModelBase, Senses):
    """Canned answers without a model: for tests of the whole API and for `scripts/bench` of the front end."""

    engine: Literal["fake"]
    serves: tuple[Task, ...] = Field(min_length=1, description="the task that it pretends to do, or a list of them")
    path: str = ""
    defaults: ChatDefaults = ChatDefaults()
    quality: AnyQuality | None = Field(
        default=None,
        description="of the first task that it serves, the others have the defaults; null: no task has any",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="see server/engines/fake/engine.py")

    @model_validator(mode="before")
    @classmethod
    def _quality_of_the_first_task(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        serves = data.get("serves")
        serves = (serves,) if isinstance(serves, str) else serves
        data = {**data, "serves": serves}
        if isinstance(serves, list | tuple) and serves and serves[0] in [*Task]:
            kind, quality = QUALITY_OF.get(Task(serves[0])), data.get("quality", {})
            data["quality"] = None if kind is None or quality is None else kind.model_validate(quality)
        return data

    @field_validator("serves")
    @classmethod
    def _each_task_once(cls, serves: tuple[Task, ...]) -> tuple[Task, ...]:
        if len(set(serves)) != len(serves):
            raise ValueError("a task is named twice")
        return serves

    @property
    def tasks(self) -> tuple[Task, ...]:
        return self.serves

    def quality_for(self, task: Task) -> AnyQuality | None:
        if self.quality is None or task == self.serves[0]:
            return self.quality
        kind = QUALITY_OF.get(task)
        return kind() if kind is not None and task in self.serves else None

    @property
    def parallel(self) -> int:
        return 256


ModelSpec = Annotated[
    VllmModel | WhisperModel | PiperModel | DiffusersModel | EmbedModel | FakeModel, Field(discriminator="engine")
]


class BundleName(Strict):
    """One public name of a bundle."""

    id: Name
    description: str = ""
    price: Price | None = Field(default=None, description="overrides the models' own prices where set, field by field")


class Bundle(Strict):
    """Public names that serve several tasks, each by a model of its own."""

    bundle: Name = Field(description="the bundle's id, for messages; not a public name")
    owned_by: str = "local"
    tasks: dict[Task, Name] = Field(min_length=1, description="the model that does each task")
    names: tuple[BundleName, ...] = Field(min_length=1, description="public names that mean this bundle")
    defaults: ChatDefaults | None = Field(
        default=None, description="by these names, overrides the chat model's own `defaults`, field by field"
    )
    image_response_format: Literal["url", "b64_json"] | None = Field(
        default=None,
        description="form that pictures by these names always have, whatever a client asks for; null: the one asked "
        "for, else that of SAGEHOLD_IMAGE_RESPONSE_FORMAT. Clients of gpt-image-1 and its kin know b64_json only",
    )

    @model_validator(mode="after")
    def _defaults_of_something(self) -> Self:
        if self.defaults is not None and Task.CHAT not in self.tasks:
            raise ValueError("defaults are for chat, which these names don't do")
        return self
