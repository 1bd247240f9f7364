"""The public names, with what this server adds to the OpenAI API's model object."""

from typing import Literal

from pydantic import Field

from server.api.answers.base import Answer

State = Literal["failed", "unloaded", "loading", "draining", "asleep", "ready"]


class Amount(Answer):
    """Bytes: of the host, and of each GPU by its number."""

    host: int
    gpus: dict[str, int]


class Memory(Answer):
    """held: in the books; reported: by the machine."""

    held: Amount
    reported: Amount


class Loading(Answer):
    """phase: what the load is at, in words. seconds: since it began."""

    phase: str
    seconds: float


class ModelBehind(Answer):
    """loading: only while it is."""

    model: str
    state: State
    memory: Memory
    loading: Loading | None = None


class Drawing(Answer):
    """How an image model draws where nothing is said: its own size, steps and guidance. sizes: those that may be asked
    for, its own among them; empty where it takes others, too."""

    size: str
    sizes: list[str]
    steps: int
    guidance: float


class Model(Answer):
    """capabilities: the tasks. state: of the model that is furthest behind, and the reason if it failed. parent: the
    model of a LoRA adapter. root, max_model_len: of a language model, as vLLM shows them. input_modalities: of a
    model that chats, what a message to it may hold: text, image, audio. image: of a model that draws.
    price: credits a unit."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    description: str
    capabilities: list[str]
    state: State
    reason: str = ""
    parent: str = ""
    root: str = ""
    max_model_len: int = 0
    input_modalities: list[Literal["text", "image", "audio"]] = Field(default_factory=list)
    image: Drawing | None = None
    models: dict[str, ModelBehind]
    price: dict[str, str]


class Budget(Answer):
    budget: Amount


class Models(Answer):
    object: Literal["list"]
    data: list[Model]
    memory: Budget
