"""What an account may not know of answers, word by word, like what is not there."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.core import Caller
from server.errors import DatasetNotFound, NotFound, SageholdError
from server.knowledge.records import DocumentState, Permission, SearchTerms
from tests.knowledge.store.shelf import Shelf

pytestmark = pytest.mark.anyio

Act = Callable[[Shelf, Caller, str], Awaitable[Any]]
ACTS: dict[str, Act] = {
    "find": lambda shelf, who, name: shelf.datasets.find(who, name),
    "find to edit": lambda shelf, who, name: shelf.datasets.find(who, name, Permission.EDIT),
    "find to own": lambda shelf, who, name: shelf.datasets.find(who, name, Permission.OWNER),
    "several": lambda shelf, who, name: shelf.datasets.several(who, [name]),
    "all and": lambda shelf, who, name: shelf.datasets.several(who, ["all", name, "none"]),
    "delete": lambda shelf, who, name: shelf.datasets.delete(who, name),
    "change terms": lambda shelf, who, name: shelf.datasets.change_terms(who, name, SearchTerms("dense")),
    "assign": lambda shelf, who, name: shelf.datasets.assign(who, name, who.account_id, Permission.ADMIN),
    "assign to nobody": lambda shelf, who, name: shelf.datasets.assign(who, name, "acct_nobody", Permission.READ),
    "leave": lambda shelf, who, name: shelf.datasets.deassign(who, name, who.account_id),
    "assignments": lambda shelf, who, name: shelf.datasets.assignments(who, name),
    "documents": lambda shelf, who, name: shelf.documents.list(who, name),
    "delete a document": lambda shelf, who, name: shelf.documents.delete(who, name, "secret.txt"),
    "delete no document": lambda shelf, who, name: shelf.documents.delete(who, name, "absent.txt"),
    "by id": lambda shelf, who, name: shelf.datasets.get(who, name),
    "by id to edit": lambda shelf, who, name: shelf.datasets.get(who, name, Permission.EDIT),
    "delete by id": lambda shelf, who, name: shelf.datasets.remove(who, name),
    "documents by id": lambda shelf, who, name: shelf.documents.page(who, name, 10),
    "passages": lambda shelf, who, name: shelf.documents.passages(who, name, 0, 10),
    "delete a document by id": lambda shelf, who, name: shelf.documents.remove(who, name),
    "document": lambda shelf, who, name: shelf.documents.find(who, name),
    "document to edit": lambda shelf, who, name: shelf.documents.find(who, name, Permission.EDIT),
}


async def answer(act: Act, shelf: Shelf, who: Caller, name: str) -> tuple[Any, ...]:
    """What the caller gets, with the name that they gave themselves taken out."""
    try:
        return ("given", await act(shelf, who, name))
    except SageholdError as error:
        return (type(error), error.status, error.code, error.param, error.message.replace(name, "NAME"))


async def hidden_names(shelf: Shelf, ann: Caller) -> list[str]:
    """All that a dataset and a document of it could be called."""
    made = await shelf.datasets.create(ann, "plans")
    document_id = await shelf.put(ann, "plans", "secret.txt", ["the secret"])
    waiting = await shelf.put(ann, "plans", "waiting.txt", ["later"], DocumentState.QUEUED)
    content = f"user_content_{made.owner_number}_plans_content"
    return ["plans", made.full_name, content, made.id, f" {made.id}", "1", "PLANS", "plan_", "%", document_id, waiting]


async def state(shelf: Shelf, ann: Caller) -> tuple[Any, ...]:
    assigned = await shelf.datasets.assignments(ann, "plans")
    return await shelf.datasets.list(ann), await shelf.documents.list(ann), assigned


class TestIsolation:
    async def test_somebody_elses_is_like_nothing(self, shelf: Shelf, ann: Caller, eve: Caller) -> None:
        names = await hidden_names(shelf, ann)
        before = await state(shelf, ann)
        for name in names:
            absent = f"user_custom_99_{name}_content" if name.startswith("user_") else "absent"
            for what, act in ACTS.items():
                got = await answer(act, shelf, eve, name)
                assert got == await answer(act, shelf, eve, absent), what
                assert issubclass(got[0], NotFound), what
        assert await state(shelf, ann) == before
        assert await shelf.datasets.list(eve) == await shelf.documents.list(eve) == []
        assert await shelf.datasets.several(eve, ["all"]) == ()

    async def test_its_name_is_free_for_others(self, shelf: Shelf, ann: Caller, eve: Caller) -> None:
        """A Conflict would tell of it; and a dataset of the same name shows nothing of the other one."""
        await hidden_names(shelf, ann)
        before = await state(shelf, ann)
        mine = await shelf.datasets.create(eve, "plans")
        assert (mine.documents, mine.chunks) == (0, 0)
        assert await shelf.documents.list(eve, "plans") == []
        with pytest.raises(NotFound, match=r"no document `secret\.txt`"):
            await shelf.documents.delete(eve, "plans", "secret.txt")
        await shelf.datasets.delete(eve, "plans")
        await shelf.removal.finish()
        assert await state(shelf, ann) == before

    async def test_what_was_shared_and_is_no_more_is_like_nothing(
        self, shelf: Shelf, ann: Caller, bob: Caller, eve: Caller
    ) -> None:
        names = await hidden_names(shelf, ann)
        for permission, name in ((Permission.READ, names[1]), (Permission.ADMIN, names[0])):
            await shelf.datasets.assign(ann, "plans", eve.account_id, permission)
            [shared] = await shelf.datasets.list(eve)
            assert (shared.permission, shared.documents) == (permission, 1)
            assert len(await shelf.documents.list(eve, shared.full_name)) == 2
            await shelf.datasets.deassign(ann, "plans", eve.account_id)
            for what, act in ACTS.items():
                assert await answer(act, shelf, eve, name) == await answer(act, shelf, bob, name), what
            assert await shelf.datasets.list(eve) == []

    async def test_what_is_deleted_is_like_nothing_before_it_is_removed(
        self, shelf: Shelf, ann: Caller, eve: Caller
    ) -> None:
        names = await hidden_names(shelf, ann)
        await shelf.datasets.assign(ann, "plans", eve.account_id, Permission.ADMIN)
        await shelf.datasets.delete(ann, "plans")
        for who in (ann, eve):
            for name in (names[0], names[1], names[-1]):
                for what, act in ACTS.items():
                    got = await answer(act, shelf, who, name)
                    assert issubclass(got[0], NotFound), what
            assert await shelf.datasets.list(who) == await shelf.documents.list(who) == []

    async def test_one_shared_dataset_opens_no_other(self, shelf: Shelf, ann: Caller, eve: Caller) -> None:
        await hidden_names(shelf, ann)
        await shelf.datasets.create(ann, "open")
        shown = await shelf.put(ann, "open", "secret.txt", ["not the secret"])
        await shelf.datasets.assign(ann, "open", eve.account_id, Permission.EDIT)
        assert [one.name for one in await shelf.datasets.several(eve, ["all"])] == ["open"]
        assert [one.id for _, one in await shelf.documents.list(eve)] == [shown]
        with pytest.raises(DatasetNotFound):
            await shelf.datasets.several(eve, ["open", "plans"])
        assert await shelf.documents.delete(eve, "open", "secret.txt") == 1
        assert len(await shelf.documents.list(ann, "plans")) == 2
