"""What other parts of the server need of models, through the pipeline: limits, credits and the queue as for a request.

Each call has a request id of its own, by which the ledger and the log know it. Whoever hangs up on the request that
makes a call cancels it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from anyio import to_thread

from server.core import (
    Ask,
    Caller,
    EmbeddingJob,
    Embeddings,
    Event,
    Job,
    Priority,
    ScoreJob,
    Scores,
    Segment,
    Task,
    TranscriptionJob,
)
from server.errors import KnowledgeUnavailable, ServerStopping, UnreadableDocument
from server.knowledge.calls import LOCAL, Measure, Vectors
from server.models.config import weights
from server.models.config.files import CatalogError
from server.models.config.spec import EmbedModel, ModelSpec
from server.pipeline.run import Pipeline
from server.pipeline.shutdown import taken_back
from server.yaml_files import Problem

if TYPE_CHECKING:
    from server.engines.embed.measure import TextMeasure

E = TypeVar("E", bound=Event)

AT_ONCE = 64
"""Texts that are embedded by one request: it is not cut short for people who wait."""
WORDS = 256
"""Tokens that a model without files of its own, a fake one, reads at once; its tokens are words."""


class PublicName(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def tasks(self) -> Mapping[Task, ModelSpec]: ...


class Names(Protocol):
    """The part of the catalog that is asked which models there are."""

    def public_models(self) -> Sequence[PublicName]: ...


def chosen(names: Names, task: Task, setting: str, name: str | None) -> ModelSpec | None:
    """The model that a setting names for a task, by a public name or its own; None where it is not set.

    Raises CatalogError, in the operator's words, for one that is not served.
    """
    if name is None:
        return None
    having = [entry for entry in names.public_models() if task in entry.tasks]
    for entry in having:
        if name in (entry.id, entry.tasks[task].name):
            return entry.tasks[task]
    able = ", ".join(entry.id for entry in having)
    message = f"no model {name!r} that does {task} is installed; these are: {able or 'none'}"
    raise CatalogError([Problem(Path(), 0, setting, message)])


class InnerCalls:
    """`Models` of server/knowledge/calls.py, over the pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        names: Names,
        models_dir: Path,
        *,
        free: Pipeline | None = None,
        embedding: str | None = None,
        reranking: str | None = None,
    ) -> None:
        """embedding, reranking: as the settings have them. free: for callers without a key, see `LOCAL`; None where all
        is free. Raises CatalogError for settings that name no model."""
        self._pipeline = pipeline
        self._free = free or pipeline
        self._names = names
        self._models_dir = models_dir
        self._measures: dict[str, TextMeasure] = {}
        self._embedding = chosen(names, Task.EMBEDDING, "SAGEHOLD_EMBEDDING_MODEL", embedding)
        self._reranking = chosen(names, Task.SCORE, "SAGEHOLD_RERANK_MODEL", reranking)

    @property
    def embedding(self) -> str | None:
        if self._embedding is not None:
            return self._embedding.name
        return next((spec.name for _, spec in self._having(Task.EMBEDDING)), None)

    def installed(self, model: str) -> bool:
        return any(spec.name == model for _, spec in self._having(Task.EMBEDDING))

    @property
    def reranking(self) -> str | None:
        return None if self._reranking is None else self._reranking.name

    @property
    def transcribes(self) -> bool:
        return any(True for _ in self._having(Task.TRANSCRIPTION))

    async def measure(self, model: str) -> Measure:
        _, spec = self._served(model)
        if not isinstance(spec, EmbedModel):
            return Measure(WORDS, _words)
        own = await self._measure(spec)
        return Measure(own.most, own.tokens)

    async def embed(
        self, caller: Caller, model: str, texts: Sequence[str], *, background: bool = False, query: bool = False
    ) -> Vectors:
        name, spec = self._served(model)
        prompt = (await self._measure(spec)).prompt(query=query) if isinstance(spec, EmbedModel) else ""
        made: list[Vectors] = []
        for start in range(0, len(texts), AT_ONCE):
            some = texts[start : start + AT_ONCE]
            job = EmbeddingJob(inputs=tuple(prompt + text for text in some), truncate=-1)
            (found,) = [one async for one in self._events(caller, name, job, Embeddings, background=background)]
            made.append(np.frombuffer(found.data, "<f4").reshape(len(some), found.dimensions))
        vectors = np.concatenate(made) if made else np.empty((0, 0), np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    async def rerank(self, caller: Caller, query: str, texts: Sequence[str]) -> Sequence[float]:
        if self._reranking is None:
            raise KnowledgeUnavailable("This server has no model for reranking.")
        if not texts:
            return ()
        name = self._public(self._reranking, Task.SCORE)
        job = ScoreJob(queries=(query,), documents=tuple(texts), truncate=-1)
        (found,) = [one async for one in self._events(caller, name, job, Scores)]
        return found.values

    async def transcribe(self, caller: Caller, sound: bytes, filename: str) -> Sequence[tuple[float, float, str]]:
        name = next((name for name, _ in self._having(Task.TRANSCRIPTION)), None)
        if name is None:
            raise UnreadableDocument("This server has no model that transcribes recordings.")
        job = TranscriptionJob(audio=sound, filename=filename)
        heard = self._events(caller, name, job, Segment, background=True)
        return [(one.start, one.end, one.text.strip()) async for one in heard]

    async def _events(
        self, caller: Caller, name: str, job: Job, kind: type[E], *, background: bool = False
    ) -> AsyncIterator[E]:
        """Those of one kind."""
        pipeline = self._free if caller.key_id == LOCAL else self._pipeline
        ask = Ask(caller=replace(caller, models=None), model=name, priority=Priority.BACKGROUND if background else None)
        try:
            async with await pipeline.open(ask, job) as run, aclosing(run.events()) as events:  # type: ignore[type-var]
                async for event in events:
                    if isinstance(event, kind):
                        yield event
        except asyncio.CancelledError:
            if taken_back():
                raise ServerStopping from None
            raise

    # ------------------------------------------------------------ which models there are

    def _having(self, task: Task) -> Sequence[tuple[str, ModelSpec]]:
        """Public names that do a task, and their models."""
        return [(entry.id, entry.tasks[task]) for entry in self._names.public_models() if task in entry.tasks]

    def _served(self, model: str) -> tuple[str, ModelSpec]:
        """The public name of an embedding model by its own. Raises KnowledgeUnavailable."""
        for _, spec in self._having(Task.EMBEDDING):
            if spec.name == model:
                return self._public(spec, Task.EMBEDDING), spec
        raise KnowledgeUnavailable(f"The embedding model {model}, which the dataset was made with, is not served here.")

    def _public(self, model: ModelSpec, task: Task) -> str:
        """Its own name where that is one; otherwise the first that means it."""
        names = [name for name, spec in self._having(task) if spec.name == model.name]
        return model.name if model.name in names else names[0]

    async def _measure(self, spec: EmbedModel) -> "TextMeasure":
        """Opening a tokenizer takes tens of milliseconds and more; it is kept."""
        if spec.name not in self._measures:
            from server.engines.embed.measure import TextMeasure

            folder = weights.location(spec, self._models_dir)
            self._measures[spec.name] = await to_thread.run_sync(TextMeasure, folder, spec.max_tokens)
        return self._measures[spec.name]


def _words(text: str) -> int:
    return len(text.split())
