"""An index for tests of what is around it: rows alone, nothing is searched by it."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, Dataset
from server.knowledge.search.index import Found
from server.knowledge.tables import ChunkRow


class PlainIndex:
    async def prepare(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def create(self, session: AsyncSession, dataset_number: int) -> None:
        pass

    async def drop(self, session: AsyncSession, dataset_number: int, most: int) -> bool:
        return await _delete(session, ChunkRow.dataset_number == dataset_number, most)

    async def remove(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> bool:
        return await _delete(session, ChunkRow.document_number == document_number, most)

    async def add(
        self,
        session: AsyncSession,
        dataset_number: int,
        document_number: int,
        chunks: Sequence[Chunk],
        vectors: Vectors,
    ) -> None:
        for chunk, vector in zip(chunks, vectors, strict=True):
            await session.execute(
                insert(ChunkRow).values(
                    dataset_number=dataset_number,
                    document_number=document_number,
                    place=chunk.place,
                    text=chunk.text,
                    heading=chunk.heading,
                    page=chunk.page,
                    start=chunk.start,
                    end=chunk.end,
                    vector=vector.astype("<f2").tobytes(),
                )
            )

    async def keyword(self, dataset: Dataset, query: str, limit: int) -> Sequence[Found]:
        raise NotImplementedError

    async def dense(self, dataset: Dataset, query: Vectors, limit: int) -> Sequence[Found]:
        raise NotImplementedError


async def _delete(session: AsyncSession, which: object, most: int) -> bool:
    some = (await session.scalars(select(ChunkRow.number).where(which).limit(most))).all()  # type: ignore[arg-type]
    await session.execute(delete(ChunkRow).where(ChunkRow.number.in_(some)))
    return not await session.scalar(select(func.count()).select_from(ChunkRow).where(which))  # type: ignore[arg-type]
