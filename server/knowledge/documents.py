"""The documents of datasets, and where their ingestion stands."""

from collections.abc import Sequence

from server.core import Caller
from server.knowledge.records import Document
from server.storage.database import Database


class Documents:
    """Looks at documents, and takes them out. Raises what `Datasets.find` does."""

    def __init__(self, database: Database) -> None: ...

    async def list(self, caller: Caller, dataset: str | None = None) -> Sequence[tuple[str, Document]]:
        """Each with its dataset's full name, newest first; None is all that the caller may read."""
        raise NotImplementedError

    async def find(self, caller: Caller, document_id: str) -> Document:
        """Raises NotFound, for somebody else's too."""
        raise NotImplementedError

    async def delete(self, caller: Caller, dataset: str, filename: str) -> int:
        """All documents of that name, those under way too. How many there were; raises NotFound for none."""
        raise NotImplementedError
