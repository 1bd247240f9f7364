"""Datasets, and who may do what with them."""

from collections.abc import Sequence

from server.core import Caller
from server.knowledge.records import Assignment, Dataset, Permission, SearchTerms
from server.storage.database import Database


class Datasets:
    """Every method that names a dataset raises DatasetNotFound where there is none or the caller may not know of it,
    and PermissionDenied where it may know of it and not do that.

    A dataset is named by its full name, or by the short one: the caller's own comes before those shared with it; of
    several shared ones that have it, none is meant.
    """

    def __init__(self, database: Database) -> None: ...

    async def create(self, caller: Caller, name: str, classification: str | None = None) -> Dataset:
        """name: 4 to 100 characters. Raises InvalidRequest, Conflict for one that the account has already."""
        raise NotImplementedError

    async def find(self, caller: Caller, name: str, need: Permission = Permission.READ) -> Dataset:
        raise NotImplementedError

    async def several(self, caller: Caller, names: Sequence[str]) -> Sequence[Dataset]:
        """What a question's `dataset` means: `all` is all that the caller may read, `none` is none."""
        raise NotImplementedError

    async def list(self, caller: Caller) -> Sequence[Dataset]:
        """Those the caller may read, its own first, by name."""
        raise NotImplementedError

    async def delete(self, caller: Caller, name: str) -> None:
        """With its documents, their chunks, vectors and indexes, and what of it is waiting to be ingested."""
        raise NotImplementedError

    async def change_terms(self, caller: Caller, name: str, terms: SearchTerms) -> Dataset:
        """For its admins."""
        raise NotImplementedError

    async def assign(self, caller: Caller, name: str, account_id: str, permission: Permission) -> None:
        """Let an account in, or change what it may do. For admins; nobody gives more than they have."""
        raise NotImplementedError

    async def deassign(self, caller: Caller, name: str, account_id: str) -> None:
        """For admins, and for whoever leaves by themselves. An account that was not let in changes nothing."""
        raise NotImplementedError

    async def assignments(self, caller: Caller, name: str) -> Sequence[Assignment]:
        """For admins."""
        raise NotImplementedError
