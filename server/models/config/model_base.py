"""What the config of every model has: its name, its files, its price, its probe, and the memory it may take."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from server.core import Task
from server.models.config.quality import QUALITY_OF, AnyQuality
from server.models.config.strict import Strict
from server.sizes import Size

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

    def times(self, factor: Decimal) -> Self:
        """Each amount times `factor`, exactly."""
        return self.model_copy(update={unit: amount * factor for unit, amount in self})


class Probe(Strict):
    """A check of the model's first task after each load: a model that fails it is not served.

    Choose a prompt with a clear margin: a small model near a tie flips with the arithmetic and nothing is broken.
    """

    prompt: str = Field(
        description="chat: the user message; speech: the text to say; image: the prompt; transcription: an audio "
        "file; embedding and score: a question; moderation: a text that must be flagged"
    )
    expect: str = Field(
        default="",
        description="chat: what the greedy answer must contain, case ignored; speech: unused, the audio's length and "
        "loudness are checked; image: unused, the picture must not be flat; transcription: words that must be read "
        "from the audio file named by `prompt`, beside the config or in the model's folder; embedding and score: a "
        "passage that answers the question, and must score clearly above one about a fox and a dog; moderation: the "
        "category that must be flagged, any if empty, while the fox and the dog must not be",
    )
    max_tokens: int = Field(default=32, ge=1, le=512, description="chat: the answer's limit")
    timeout: float = Field(default=120.0, gt=0, description="seconds after which the probe counts as failed")


class ModelBase(Strict):
    """What every model's config has.

    quality: None for a model whose tasks are done in one way only.
    """

    name: Name = Field(description="the model's own id, unique over all configs; usable by clients too")
    description: str = Field(default="", description="one line for people, shown by `models list` and /v1/models")
    path: str = Field(description="folder or file of the weights, relative to SAGEHOLD_MODELS_DIR, or absolute")
    owned_by: str = Field("local", description="`owned_by` in /v1/models")
    price: Price = Price()
    quality: AnyQuality | None = None
    probe: Probe | None = Field(
        default=None, description="check after load; null: the smallest job of each task must come through"
    )
    load: Literal["eager", "lazy"] = Field(
        default="eager", description="eager: loaded at start, /ready waits for it; lazy: loaded by its first request"
    )
    host_memory: Size | None = Field(
        default=None,
        gt=0,
        description="host memory it takes once loaded, such as 3GiB; estimated from its files when absent",
    )
    gpu_memory: Size | None = Field(
        default=None, ge=0, description="memory it takes on each GPU it uses, such as 20GiB; estimated when absent"
    )
    max_queue: int = Field(
        default=64,
        ge=1,
        description="requests of a class that may wait for this model; more are answered 503, or 429 where one account "
        "alone fills its share",
    )
    fetch: str | None = Field(
        default=None,
        description="the command that brings the weights, shown when they are missing",
        examples=["scripts/models"],
    )

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What the model can be asked to do; at least one, each once, and its main task first."""
        raise NotImplementedError

    def quality_for(self, task: Task) -> AnyQuality | None:
        """What each quality means for one of the model's tasks; None where the task is done in one way only."""
        kind = QUALITY_OF.get(task)
        return self.quality if kind is not None and isinstance(self.quality, kind) else None

    @property
    def parallel(self) -> int:
        """Answers that the engine makes at once, until it says so itself; `max_queue` requests may wait behind them."""
        return 1


class GpuModel(ModelBase):
    """A model that a GPU can work on."""

    gpus: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(
        default=None,
        min_length=1,
        description="numbers of the GPUs that it may be placed on, counted among those that this server sees "
        "(CUDA_VISIBLE_DEVICES); null: any. It takes as many as it needs, those with the most free memory",
    )

    @property
    def gpus_needed(self) -> int:
        """GPUs that hold a part of the model each."""
        return 1

    @field_validator("gpus")
    @classmethod
    def _each_gpu_once(cls, gpus: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if gpus is not None and len(set(gpus)) != len(gpus):
            raise ValueError("a GPU is named twice")
        return gpus

    @model_validator(mode="after")
    def _gpus_enough(self) -> Self:
        if self.gpus is not None and len(self.gpus) < self.gpus_needed:
            raise ValueError(f"the model needs {self.gpus_needed} GPUs, and `gpus` names {len(self.gpus)}")
        return self
