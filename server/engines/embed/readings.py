"""Jobs that an encoder has read: their texts are rows of token ids, and nothing is computed yet."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from server.core import EmbeddingJob, Embeddings, Event, Facts, ScoreJob, Scores, Usage
from server.engines.embed.batcher import Share
from server.engines.embed.bounds import demand_dimensions, demand_few, names_of, too_long
from server.engines.embed.network import normalized
from server.engines.embed.rows import Cut, Row

if TYPE_CHECKING:
    from server.engines.embed.handler import EmbedHandler

AT_ONCE = 64
"""Texts that are tokenized between two looks at how many tokens there are already."""


class EmbeddingReading:
    """An EmbeddingJob that has been read."""

    def __init__(self, model: "EmbedHandler", job: EmbeddingJob) -> None:
        self._model = model
        self._dimensions = job.dimensions
        demand_dimensions(job.dimensions, model.size, model.recipe.dimensions)
        names = names_of("input", job.inputs)
        prompt = model.recipe.prompt
        texts = [prompt + model.text_of(one, name) for one, name in zip(job.inputs, names, strict=True)]
        rows, tokens = model.rows(texts, model.cut_of(job.truncate, job.truncation_side), names)
        self._counts = [len(some) for some in rows]
        self._share = Share([row for some in rows for row in some])
        self.facts = Facts(prompt_tokens=tokens)

    def close(self) -> None:
        pass

    def run(self, limit: int | None) -> Iterator[Event | None]:  # noqa: ARG002 - vectors have no limit
        """Read, while there is more than one run to it; Embeddings; Usage."""
        yield from self._model.worked(self._share)
        vectors = self._model.vectors(self._share, self._counts)
        if self._dimensions is not None and self._dimensions != vectors.shape[1]:
            vectors = normalized(vectors[:, : self._dimensions])
        yield Embeddings(np.ascontiguousarray(vectors, dtype="<f4").tobytes(), vectors.shape[1])
        yield Usage(prompt_tokens=self.facts.prompt_tokens)


class CosineReading:
    """A ScoreJob that has been read by a model that reads one text at a time: each text once."""

    def __init__(self, model: "EmbedHandler", job: ScoreJob) -> None:
        self._model = model
        names = (names_of(job.names[0], job.queries), names_of(job.names[1], job.documents))
        queries = [model.recipe.query_prompt + text for text in job.queries]
        documents = [model.recipe.document_prompt + text for text in job.documents]
        side = job.truncation_side
        asked, tokens = model.rows(queries, model.cut_of(job.truncate, side, job.query_tokens), names[0])
        answers, more = model.rows(documents, model.cut_of(job.truncate, side, job.document_tokens), names[1])
        demand_few(tokens + more, job.names[1])
        self._queries = len(queries)
        self._counts = [len(some) for some in (*asked, *answers)]
        self._share = Share([row for some in (*asked, *answers) for row in some])
        self.facts = Facts(prompt_tokens=tokens + more)

    def close(self) -> None:
        pass

    def run(self, limit: int | None) -> Iterator[Event | None]:  # noqa: ARG002 - scores have no limit
        """Read, while there is more than one run to it; Scores; Usage."""
        yield from self._model.worked(self._share)
        vectors = normalized(self._model.vectors(self._share, self._counts))
        queries, documents = vectors[: self._queries], vectors[self._queries :]
        # Rounding may leave a cosine of a text with itself above 1.
        cosines = np.clip((queries * documents).sum(1), -1, 1)
        yield Scores(tuple(map(float, cosines)), "embedding")
        yield Usage(prompt_tokens=self.facts.prompt_tokens)


class PairReading:
    """A ScoreJob that has been read by a model that reads a query and a document at once."""

    def __init__(self, model: "EmbedHandler", job: ScoreJob) -> None:
        self._model = model
        reader, side = model.reader, job.truncation_side
        names = names_of(job.names[1], job.documents)
        both = model.cut_of(job.truncate, side)
        asked = [
            model.bounded(text, both, name)
            for text, name in zip(job.queries, names_of(job.names[0], job.queries), strict=True)
        ]
        answers = [model.bounded(text, both, name) for text, name in zip(job.documents, names, strict=True)]
        pairs = list(zip(asked * len(answers) if len(asked) == 1 else asked, answers, strict=True))
        first = Cut(job.query_tokens, side) if job.query_tokens else None
        second = Cut(job.document_tokens, side) if job.document_tokens else None
        rows: list[Row] = []
        tokens = 0
        for start in range(0, len(pairs), AT_ONCE):
            for place, whole in enumerate(reader.pairs(pairs[start : start + AT_ONCE]), start):
                over = both is not None and len(whole) > both.tokens
                row = reader.cut_pair(pairs[place], first, second, both) if first or second or over else whole
                if len(row) > reader.max_tokens:
                    raise too_long(reader.max_tokens, f"{len(row)} tokens", names[place])
                rows.append(row)
                tokens += len(row)
            demand_few(tokens, job.names[1])
        self._share = Share(rows)
        self.facts = Facts(prompt_tokens=tokens)

    def close(self) -> None:
        pass

    def run(self, limit: int | None) -> Iterator[Event | None]:  # noqa: ARG002 - scores have no limit
        """Read, while there is more than one run to it; Scores; Usage."""
        yield from self._model.worked(self._share)
        outputs = self._share.result()[:, 0].astype(np.float64)
        # By tanh, which does not overflow: 1 / (1 + exp(-x)).
        yield Scores(tuple(map(float, 0.5 * (1 + np.tanh(outputs / 2)))), "cross-encoder")
        yield Usage(prompt_tokens=self.facts.prompt_tokens)
