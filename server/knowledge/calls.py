"""What knowledge needs of models. The pipeline does it (server/pipeline/inner_calls.py), so that the caller's limits
and credits count as for a request of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.core import Caller

Vectors = NDArray[np.float32]
"""One row a text, of length 1."""

LOCAL = "local"
"""The key id of who calls from the command line of this machine, without a key: it is neither billed nor limited."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How an embedding model counts. most: tokens of the longest text that it reads at once.

    tokens: those of a text. It is blocking work, and several threads may call it.
    """

    most: int
    tokens: Callable[[str], int]


class Models(Protocol):
    """Each method raises what `Pipeline.open` raises, and what engines raise.

    A key that may use some models only may still have its texts embedded: which model does it is the dataset's to say.
    """

    @property
    def embedding(self) -> str | None:
        """The model that new datasets are made with, by its own name; None where there is none."""
        ...

    def installed(self, model: str) -> bool:
        """Whether an embedding model of that own name is served here."""
        ...

    @property
    def reranking(self) -> str | None:
        """The reranking model, by its own name; None where none is configured."""
        ...

    @property
    def transcribes(self) -> bool:
        """Whether there is a model for recordings."""
        ...

    async def measure(self, model: str) -> Measure:
        """Raises KnowledgeUnavailable for a model that is not served here, ModelUnavailable for damaged files."""
        ...

    async def embed(
        self, caller: Caller, model: str, texts: Sequence[str], *, background: bool = False, query: bool = False
    ) -> Vectors:
        """A vector of each text; of one that is too long, of its beginning.

        background: for ingestion, which gives way to people who wait. query: texts are questions, which some models
        read otherwise than documents. Raises KnowledgeUnavailable for a model that is not served here.
        """
        ...

    async def rerank(self, caller: Caller, query: str, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers the query, higher is better. Raises KnowledgeUnavailable without a model."""
        ...

    async def transcribe(self, caller: Caller, sound: bytes, filename: str) -> Sequence[tuple[float, float, str]]:
        """Segments of a recording: start and end in seconds, and what is said. Raises UnreadableDocument."""
        ...
