"""Embeddings and scores by an encoder: the handler that runs inside the worker.

Jobs run each in a thread, and their texts together: see batcher.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime

from server.core import EmbeddingJob, Event, Job, Read, ScoreJob
from server.engines.cl100k import Cl100k
from server.engines.embed.batcher import Batcher, Share
from server.engines.embed.bounds import demand_few, too_long
from server.engines.embed.network import Floats, Network, normalized
from server.engines.embed.readings import AT_ONCE, CosineReading, EmbeddingReading, PairReading
from server.engines.embed.recipe import Recipe, read_recipe
from server.engines.embed.rows import Cut, Reader, Row
from server.errors import InvalidRequest, ModelUnavailable

CHARACTERS_A_TOKEN = 64
"""More than any text has. It spares tokenizing megabytes only to learn that they are too long."""

GRAPHS = ("model.onnx", "onnx/model.onnx")
"""Where a folder's graph lies, if its config does not say."""


class EmbedHandler:
    """A `Handler` for EmbeddingJobs and ScoreJobs. windows: rows that a long text may be read in."""

    def __init__(self, reader: Reader, batcher: Batcher, recipe: Recipe, size: int, options: Mapping[str, Any]) -> None:
        """size: of the model's own vectors. options: see `create`."""
        self.size = size
        self.reader = reader
        self.batcher = batcher
        self.recipe = recipe
        self.windows: int = options.get("windows") or 1
        self._cross = bool(options.get("cross_encoder"))
        self._table = Path(options["cl100k"])
        self._opening = Lock()

    @cached_property
    def _cl100k(self) -> Cl100k:
        return Cl100k(self._table)

    def read(self, job: Job) -> EmbeddingReading | PairReading | CosineReading:
        """Tokenize all texts. Raises InvalidRequest, ContextLengthExceeded."""
        match job:
            case EmbeddingJob() if not self._cross:
                return EmbeddingReading(self, job)
            case ScoreJob() if self._cross:
                return PairReading(self, job)
            case ScoreJob():
                return CosineReading(self, job)
        raise InvalidRequest("This model makes no embeddings.", param="model")

    def text_of(self, given: str | Sequence[int], param: str) -> str:
        if isinstance(given, str):
            return given
        with self._opening:  # several threads may need the table first
            table = self._cl100k
        return table.text(given, param)

    def rows(self, texts: Sequence[str], cut: Cut | None, names: Sequence[str]) -> tuple[list[list[Row]], int]:
        """Each text's rows, and the tokens of all. names: of the texts, for messages.

        Raises ContextLengthExceeded for a text that is too long, InvalidRequest for too many tokens of all.
        """
        found: list[list[Row]] = []
        tokens = 0
        texts = [self.bounded(text, cut, name) for text, name in zip(texts, names, strict=True)]
        for start in range(0, len(texts), AT_ONCE):
            some = texts[start : start + AT_ONCE]
            for place, ids in enumerate(self.reader.ids(some), start):
                rows = self._fitting(ids, texts[place], cut, names[place])
                tokens += sum(map(len, rows))
                found.append(rows)
            demand_few(tokens, names[0].partition("[")[0])
        return found, tokens

    @property
    def context(self) -> int:
        """Tokens of the longest text that is read."""
        return self.reader.max_tokens + (self.windows - 1) * (self.reader.max_tokens - self.reader.own)

    def bounded(self, text: str, cut: Cut | None, name: str) -> str:
        """A text as the tokenizer is to see it: without what can't be read of it. Raises ContextLengthExceeded."""
        text = text.lower() if self.recipe.lower else text
        most = CHARACTERS_A_TOKEN * (self.context if cut is None else cut.tokens)
        if len(text) <= most:
            return text
        if cut is None:
            raise too_long(self.context, f"{len(text):,} characters", name)
        return text[:most] if cut.side == "right" else text[-most:]

    def _fitting(self, ids: Any, text: str, cut: Cut | None, name: str) -> list[Row]:
        if cut is not None and len(ids) > cut.tokens:
            row = self.reader.cut(text, cut)
            if len(row) <= self.reader.max_tokens:
                return [row]
        elif len(ids) <= self.reader.max_tokens:
            return [Row(ids)]
        if cut is None and self.windows > 1 and (rows := self.reader.windows(text, self.windows)) is not None:
            return rows
        raise too_long(self.context, f"{len(ids)} tokens", name)

    def cut_of(self, truncate: int | None, side: Any, own: int | None = None) -> Cut | None:
        """What a job's fields say. own: another limit, of this kind of text."""
        limits = [limit for limit in (truncate, own) if limit is not None]
        return Cut(min(self.reader.max_tokens if limit == -1 else limit for limit in limits), side) if limits else None

    def worked(self, share: Share) -> Iterator[Event | None]:
        """Until all rows of a share are done; after each run but the last, how many tokens were read."""
        told = 0
        for _ in self.batcher.work(share):
            if share.missing and share.read > told:
                yield Read(share.read - told)
                told = share.read
            else:
                yield None

    def vectors(self, share: Share, counts: Sequence[int]) -> Floats:
        """A vector for each text, normalized where the model does that. counts: rows of each text.

        Of a text in several rows, the mean of theirs by their lengths, of length 1 each before.
        """
        made = share.result()
        if max(counts, default=1) == 1:
            return normalized(made) if self.recipe.normalize else made
        if self.recipe.normalize:
            made = normalized(made)
        lengths = np.array([len(row) for row in share.rows], dtype=np.float32)
        starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        means = np.add.reduceat(made * lengths[:, None], starts) / np.add.reduceat(lengths, starts)[:, None]
        return normalized(means) if self.recipe.normalize else means


def create(options: Mapping[str, Any]) -> EmbedHandler:
    """Load an encoder.

    options: `path` (its folder, absolute), `cl100k` (the table's file), and where wanted `file` (the graph, in the
    folder), `cross_encoder`, `max_tokens`, `windows`, `normalize`, `dimensions`, `tokens_at_once` and `threads` (0 for
    all cores). Raises ModelUnavailable.
    """
    onnxruntime.disable_telemetry_events()
    folder = Path(options["path"])
    recipe = read_recipe(folder)
    if options.get("normalize") is not None:
        recipe = replace(recipe, normalize=options["normalize"])
    if options.get("dimensions"):
        recipe = replace(recipe, dimensions=tuple(options["dimensions"]))
    named = [options["file"]] if options.get("file") else GRAPHS
    file = next((folder / name for name in named if (folder / name).is_file()), None)
    if file is None:
        raise ModelUnavailable(f"The model has no graph {' or '.join(named)}.")
    reader = Reader(folder / "tokenizer.json", min(options.get("max_tokens") or recipe.max_tokens, recipe.max_tokens))
    network = Network(file, recipe, options.get("threads") or 0)
    size = network([Row(ids) for ids in reader.ids(["Hello."])]).shape[1]
    if options.get("cross_encoder") and size != 1:
        raise ModelUnavailable(f"A cross-encoder that scores has one output; this one has {size}.")
    return EmbedHandler(reader, Batcher(network, options.get("tokens_at_once") or 1024), recipe, size, options)
