"""What knowledge needs of models. The pipeline does it (server/pipeline/inner_calls.py), so that the caller's limits
and credits count as for a request of their own.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.core import Caller

Vectors = NDArray[np.float32]
"""One row a text, of length 1."""


class Models(Protocol):
    """Each method raises what `Pipeline.open` raises, and what engines raise."""

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

    async def embed(self, caller: Caller, model: str, texts: Sequence[str], *, background: bool = False) -> Vectors:
        """A vector of each text. background: for ingestion, which gives way to people who wait."""
        ...

    async def rerank(self, caller: Caller, query: str, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers the query, higher is better."""
        ...

    async def transcribe(self, caller: Caller, sound: bytes, filename: str) -> Sequence[tuple[float, float, str]]:
        """Segments of a recording: start and end in seconds, and what is said."""
        ...
