"""From a file to what can be found: read, cut into chunks, embedded, stored, in the background."""

from collections.abc import AsyncIterator
from pathlib import Path

from server.core import Caller
from server.knowledge.records import Document


class Ingestion:
    """A document becomes visible as a whole, or not at all; one of the same name in the dataset is replaced by it then.

    A server that dies leaves its work to the next one, which begins it anew.
    """

    async def add(
        self, caller: Caller, dataset: str, filename: str, data: bytes | Path, *, context: str = ""
    ) -> Document:
        """Queue a file. It is on the disk when this returns; what is then done of it goes on without the caller.

        Raises what `Datasets.find` does, PayloadTooLarge, InvalidRequest for a name or a kind of file that is not read,
        StorageFull, KnowledgeUnavailable.
        """
        raise NotImplementedError

    def follow(self, document_id: str) -> AsyncIterator[Document]:
        """The document as it is now, and at each change, until it has ended."""
        raise NotImplementedError

    async def retry(self, caller: Caller, document_id: str) -> Document:
        """Begin one anew that failed or was cancelled. Raises NotFound, PermissionDenied, Conflict."""
        raise NotImplementedError

    async def cancel(self, caller: Caller, document_id: str) -> Document:
        """End one that has not ended; what was made of it goes. Raises NotFound, PermissionDenied."""
        raise NotImplementedError

    async def run(self) -> None:
        """Ingest what is queued, forever. A server runs it in the background."""
        raise NotImplementedError
