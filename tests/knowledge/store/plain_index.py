"""An index without search: of each dataset a table of its own, as the real ones have, and the chunks' rows."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.knowledge.calls import Vectors
from server.knowledge.records import Chunk, Dataset
from server.knowledge.search.index import Found
from server.knowledge.tables import ChunkRow


class PlainIndex:
    def __init__(self) -> None:
        self.pieces: list[int] = []
        """How many chunks each unit of work has deleted."""
        self.tidied: list[int] = []

    async def prepare(self) -> None: ...

    async def tend(self) -> None: ...

    async def create(self, session: AsyncSession, dataset_number: int) -> None:
        await session.execute(text(f"CREATE TABLE words_{dataset_number} (chunk INTEGER, words TEXT)"))

    async def drop(self, session: AsyncSession, dataset_number: int, most: int) -> bool:
        await session.execute(text(f"DROP TABLE IF EXISTS words_{dataset_number}"))
        return await self._delete(session, most, ChunkRow.dataset_number == dataset_number)

    async def add(
        self,
        session: AsyncSession,
        dataset_number: int,
        document_number: int,
        chunks: Sequence[Chunk],
        vectors: Vectors,
    ) -> None:
        for chunk in chunks:
            number = await session.scalar(
                insert(ChunkRow)
                .values(
                    dataset_number=dataset_number,
                    document_number=document_number,
                    place=chunk.place,
                    text=chunk.text,
                    heading=chunk.heading,
                    start=chunk.start,
                    end=chunk.end,
                )
                .returning(ChunkRow.number)
            )
            await session.execute(
                text(f"INSERT INTO words_{dataset_number} VALUES (:number, :words)"),
                {"number": number, "words": chunk.text},
            )

    async def vectors(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> Vectors:
        raise NotImplementedError

    async def remove(self, session: AsyncSession, dataset_number: int, document_number: int, most: int) -> bool:
        which = f"SELECT number FROM chunks WHERE document_number = {document_number} ORDER BY number LIMIT {most}"
        await session.execute(text(f"DELETE FROM words_{dataset_number} WHERE chunk IN ({which})"))
        return await self._delete(session, most, ChunkRow.document_number == document_number)

    async def tidy(self, session: AsyncSession, dataset_number: int) -> bool:
        self.tidied.append(dataset_number)
        return True

    async def aclose(self) -> None: ...

    async def _delete(self, session: AsyncSession, most: int, which: object) -> bool:
        numbers = (
            await session.scalars(select(ChunkRow.number).where(which).order_by(ChunkRow.number).limit(most))
        ).all()
        await session.execute(delete(ChunkRow).where(ChunkRow.number.in_(numbers)))
        self.pieces.append(len(numbers))
        return len(numbers) < most

    async def keyword(self, dataset: Dataset, query: str, limit: int) -> Sequence[Found]:
        raise AssertionError("nobody searches here")

    async def dense(self, dataset: Dataset, query: Vectors, limit: int) -> Sequence[Found]:
        raise AssertionError("nobody searches here")
