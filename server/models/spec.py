"""The schema of `model_configs/*.yaml`: one file describes one model, or one bundle of public names.

Every field is documented where it is declared; unknown fields are refused. `server/models/catalog.py` reads the
files, tells errors with file and line, and resolves public names.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import ByteSize, Field, StringConstraints, field_validator, model_validator

from server.core import Task
from server.models.quality import AnyQuality, ChatQuality, ImageQuality, SpeechQuality, TranscriptionQuality
from server.models.strict import Strict

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", max_length=128)]


class Price(Strict):
    """Credits for each unit of use. Decimal: 0.0004 times n must not drift."""

    prompt_token: Decimal = Field(default=Decimal(0), ge=0, description="credits per prompt token")
    completion_token: Decimal = Field(
        default=Decimal(0), ge=0, description="credits per generated token, reasoning included"
    )
    audio_second: Decimal = Field(default=Decimal(0), ge=0, description="credits per second of audio transcribed")
    character: Decimal = Field(default=Decimal(0), ge=0, description="credits per character spoken")
    image: Decimal = Field(default=Decimal(0), ge=0, description="credits per image of the model's own size")
    image_step: Decimal = Field(default=Decimal(0), ge=0, description="credits per denoising step of each image")


class Probe(Strict):
    """A check after each load: a model that fails it is not served.

    Choose a prompt with a clear margin: a small model near a tie flips with the arithmetic and nothing is broken.
    """

    prompt: str = Field(
        description="chat: the user message; speech: the text to say; image: the prompt; transcription: an audio file"
    )
    expect: str = Field(
        default="",
        description="chat: what the greedy answer must contain, case ignored; speech: unused, the audio's length and "
        "loudness are checked; image: unused, the picture must not be flat; transcription: words that must be read "
        "from the audio file named by `prompt`, beside the config or in the model's folder",
    )
    max_tokens: int = Field(default=32, ge=1, le=512, description="chat: the answer's limit")
    timeout: float = Field(default=120.0, gt=0, description="seconds after which the probe counts as failed")


class ModelBase(Strict):
    """What every model's config has."""

    name: Name = Field(description="the model's own id, unique over all configs; usable by clients too")
    description: str = Field(default="", description="one line for people, shown by `models list` and /v1/models")
    path: str = Field(description="folder or file of the weights, relative to SAGEHOLD_MODELS_DIR, or absolute")
    owned_by: str = Field("local", description="`owned_by` in /v1/models")
    price: Price = Price()
    probe: Probe | None = Field(default=None, description="check after load; none means none is run")
    load: Literal["eager", "lazy"] = Field(
        default="eager", description="eager: loaded at start, /ready waits for it; lazy: loaded by its first request"
    )
    host_memory: ByteSize | None = Field(
        default=None,
        gt=0,
        description="host memory it takes once loaded, such as 3GiB; estimated from its files when absent",
    )
    gpu_memory: ByteSize | None = Field(
        default=None, ge=0, description="memory it takes on each GPU it uses, such as 20GiB; estimated when absent"
    )
    max_queue: int = Field(default=64, ge=1, description="requests that may wait for this model before 503 is answered")
    fetch: str | None = Field(
        default=None,
        description="the command that brings the weights, told when they are missing",
        examples=["scripts/models"],
    )

    @property
    def parallel(self) -> int:
        """Requests that the engine works on at once; `max_queue` more may wait behind them."""
        return 1


class ChatDefaults(Strict):
    """Sampling where the client said nothing. The OpenAI API's own defaults apply where this is silent too."""

    max_tokens: int | None = Field(
        default=256,
        ge=1,
        description="limit of generated tokens where the client gave none; null: up to the model's context",
    )
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)


class VllmModel(ModelBase):
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
        default=None, ge=1, description="sequences in one continuous batch; null: vLLM's default"
    )
    kv_cache: ByteSize = Field(
        default=ByteSize(1 << 30),
        ge=1 << 26,
        description="memory for the KV cache: on a processor exactly this, on a GPU at least this",
    )
    tensor_parallel_size: int = Field(default=1, ge=1, description="GPUs that share the model")
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
    extra: dict[str, Any] = Field(
        default_factory=dict, description="further AsyncEngineArgs by their own names, passed as they are"
    )

    @property
    def task(self) -> Task:
        return Task.CHAT

    @property
    def parallel(self) -> int:
        return self.max_num_seqs or 256


class WhisperModel(ModelBase):
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

    @property
    def task(self) -> Task:
        return Task.TRANSCRIPTION


class PiperVoice(Strict):
    """One installed voice and the public names that reach it."""

    file: str = Field(description=".onnx file, relative to the model's path; its .onnx.json lies beside it")
    names: tuple[str, ...] = Field(default=(), description="OpenAI voice names (alloy …) that use this voice")
    speaker: int | None = Field(default=None, ge=0, description="speaker number in a multi-speaker file")
    language: str = Field(default="en-US", description="BCP 47 tag, told by /v1/audio/voices")
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
    threads: int = Field(default=0, ge=0, description="processor threads; 0: all cores")

    @model_validator(mode="after")
    def _modes_have_voices(self) -> Self:
        for mode, voice in self.quality.named_voices():
            if voice not in self.voices:
                raise ValueError(f"quality.{mode}.voices names {voice!r}; the voices are {', '.join(self.voices)}")
        return self

    @property
    def task(self) -> Task:
        return Task.SPEECH

    @property
    def parallel(self) -> int:
        # Sentences are short, and one voice alone leaves cores idle between them.
        return 2


class DiffusersModel(ModelBase):
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
    variant: str | None = Field(default=None, description="weight variant in the folder, such as fp16")
    max_batch: int = Field(default=4, ge=1, description="images drawn at once; more are drawn in turns")
    scorer: str | None = Field(
        default=None,
        description="folder of a CLIP model that judges how well a picture fits its prompt, relative to "
        "SAGEHOLD_MODELS_DIR, or absolute; ultra ranks its candidates by it",
    )
    threads: int = Field(default=0, ge=0, description="processor threads; 0: all cores")

    @property
    def task(self) -> Task:
        return Task.IMAGE

    @field_validator("sizes")
    @classmethod
    def _sizes_are_sizes(cls, sizes: tuple[str, ...]) -> tuple[str, ...]:
        for size in sizes:
            width, _, height = size.partition("x")
            if not (width.isdigit() and height.isdigit()):
                raise ValueError(f"{size!r} is not WIDTHxHEIGHT")
        return sizes


_QUALITY: dict[Task, type[AnyQuality]] = {
    Task.CHAT: ChatQuality,
    Task.TRANSCRIPTION: TranscriptionQuality,
    Task.SPEECH: SpeechQuality,
    Task.IMAGE: ImageQuality,
}


class FakeModel(ModelBase):
    """Canned answers without a model: for tests of the whole API and for `scripts/bench` of the front end."""

    engine: Literal["fake"]
    serves: Task = Field(description="the task it pretends to do")
    path: str = ""
    defaults: ChatDefaults = ChatDefaults()
    quality: AnyQuality = Field(default_factory=ChatQuality, description="of the task that it serves")
    options: dict[str, Any] = Field(default_factory=dict, description="see server/engines/fake.py")

    @model_validator(mode="before")
    @classmethod
    def _quality_of_the_task(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("serves") in [*Task]:
            kind = _QUALITY[Task(data["serves"])]
            data = {**data, "quality": kind.model_validate(data.get("quality", {}))}
        return data

    @property
    def task(self) -> Task:
        return self.serves

    @property
    def parallel(self) -> int:
        return 256


ModelSpec = Annotated[VllmModel | WhisperModel | PiperModel | DiffusersModel | FakeModel, Field(discriminator="engine")]


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
