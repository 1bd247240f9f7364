"""In place of an index, where the database can't have one."""

from collections.abc import Sequence
from typing import NoReturn

from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import KnowledgeUnavailable
from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, Dataset
from server.knowledge.search.index import Found


class NoIndex:
    """See `Index`. Whatever needs one raises KnowledgeUnavailable; the reason is in the log, from the start on.

    What there is of datasets and documents stays as it is, and can be listed.
    """

    async def prepare(self) -> None:
        self.refuse()

    async def tend(self) -> None:
        pass

    async def create(self, session: AsyncSession, dataset_number: int) -> None:  # noqa: ARG002 - all here refuse
        self.refuse()

    async def drop(self, session: AsyncSession, dataset_number: int, most: int) -> bool:  # noqa: ARG002
        self.refuse()

    async def add(
        self,
        session: AsyncSession,  # noqa: ARG002
        dataset_number: int,  # noqa: ARG002
        document_number: int,  # noqa: ARG002
        chunks: Sequence[Chunk],  # noqa: ARG002
        vectors: Vectors,  # noqa: ARG002
    ) -> None:
        self.refuse()

    async def vectors(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> Vectors:  # noqa: ARG002
        self.refuse()

    async def remove(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> bool:  # noqa: ARG002
        self.refuse()

    async def tidy(self, session: AsyncSession, dataset_number: int) -> bool:  # noqa: ARG002
        self.refuse()

    async def keyword(self, dataset: Dataset, query: str, limit: int) -> Sequence[Found]:  # noqa: ARG002
        self.refuse()

    async def dense(self, dataset: Dataset, query: Vectors, limit: int) -> Sequence[Found]:  # noqa: ARG002
        self.refuse()

    async def aclose(self) -> None:
        pass

    def refuse(self) -> NoReturn:
        raise KnowledgeUnavailable
