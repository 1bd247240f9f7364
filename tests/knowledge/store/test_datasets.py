"""Datasets: their names, what a question's `dataset` means, permissions, terms."""

import asyncio
import math
from dataclasses import replace

import pytest
from sqlalchemy import text

from server.accounts.keys.service import Accounts
from server.core import Caller
from server.errors import Conflict, DatasetNotFound, InvalidRequest, NotFound, PermissionDenied, SageholdError
from server.knowledge.records import Assignment, DocumentState, Permission, SearchTerms
from tests.knowledge.store.shelf import Shelf

pytestmark = pytest.mark.anyio


async def test_a_new_dataset_is_its_makers(shelf: Shelf, accounts: Accounts, ann: Caller) -> None:
    made = await shelf.datasets.create(ann, "handbook", "CUI")
    number = (await accounts.find_account("ann")).number
    assert made.full_name == f"user_custom_{number}_handbook_content"
    assert (made.name, made.owner_id, made.permission) == ("handbook", ann.account_id, Permission.OWNER)
    assert (made.classification, made.model, made.dimensions) == ("CUI", None, None)
    assert made.terms == SearchTerms()
    assert await shelf.datasets.find(ann, "handbook") == made
    assert await shelf.datasets.find(ann, made.full_name) == made
    assert await shelf.datasets.find(ann, f"user_content_{number}_handbook_content") == made
    assert await shelf.datasets.list(ann) == [made]


WRONG_NAMES = (
    *("abc", "a" * 101, "    ", " handbook", "handbook ", "hand\nbook", "hand\0book", "hand\ud800book", "one,two"),
    *("none", "None", "user_custom_1_handbook_content", "user_content_7_x_content", ""),
)
NAMES = ("abcd", "a" * 100, "Qualit\u00e4t 2", "規程集第一", "user_custom_content", "%_'\";--")


async def test_what_is_no_name_is_refused(shelf: Shelf, ann: Caller) -> None:
    for name in WRONG_NAMES:
        with pytest.raises(InvalidRequest) as refused:
            await shelf.datasets.create(ann, name)
        assert refused.value.param == "dataset"
        with pytest.raises(DatasetNotFound):
            await shelf.datasets.find(ann, name)
    assert await shelf.datasets.list(ann) == []


async def test_names_of_all_kinds(shelf: Shelf, ann: Caller) -> None:
    for name in NAMES:
        made = await shelf.datasets.create(ann, name)
        assert await shelf.datasets.find(ann, name) == made
        assert await shelf.datasets.find(ann, made.full_name) == made


async def test_one_name_written_in_two_ways_is_one(shelf: Shelf, ann: Caller) -> None:
    made = await shelf.datasets.create(ann, "Qualita\u0308t")
    assert made.name == "Qualit\u00e4t"
    assert await shelf.datasets.find(ann, "Qualita\u0308t") == made
    with pytest.raises(Conflict):
        await shelf.datasets.create(ann, "Qualit\u00e4t")


async def test_a_classification_is_one_of_two(shelf: Shelf, ann: Caller) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await shelf.datasets.create(ann, "handbook", "secret")
    assert (refused.value.param, "Unclassified, CUI" in refused.value.message) == ("classification", True)
    assert (await shelf.datasets.create(ann, "handbook", "Unclassified")).classification == "Unclassified"


async def test_of_many_who_make_one_name_at_once_one_does(shelf: Shelf, ann: Caller) -> None:
    made = await asyncio.gather(*(shelf.datasets.create(ann, "handbook") for _ in range(6)), return_exceptions=True)
    assert [type(one) for one in made if isinstance(one, BaseException)] == [Conflict] * 5
    assert len(await shelf.datasets.list(ann)) == len(await shelf.tables()) == 1


async def test_two_accounts_may_use_one_name(shelf: Shelf, ann: Caller, bob: Caller) -> None:
    hers, his = await shelf.datasets.create(ann, "handbook"), await shelf.datasets.create(bob, "handbook")
    await shelf.datasets.assign(bob, "handbook", ann.account_id, Permission.EDIT)
    assert (await shelf.datasets.find(ann, "handbook")).id == hers.id
    assert (await shelf.datasets.find(ann, his.full_name)).id == his.id
    assert [one.id for one in await shelf.datasets.list(ann)] == [hers.id, his.id]


async def test_of_two_shared_ones_with_one_name_none_is_meant(
    shelf: Shelf, ann: Caller, bob: Caller, eve: Caller
) -> None:
    for owner in (ann, bob):
        await shelf.datasets.create(owner, "handbook")
        await shelf.datasets.assign(owner, "handbook", eve.account_id, Permission.READ)
    with pytest.raises(DatasetNotFound):
        await shelf.datasets.find(eve, "handbook")
    hers = await shelf.datasets.list(ann)
    assert [one.id for one in await shelf.datasets.several(eve, [hers[0].full_name])] == [hers[0].id]


async def test_what_a_question_means_by_its_datasets(shelf: Shelf, ann: Caller, bob: Caller) -> None:
    first, second = [await shelf.datasets.create(ann, name) for name in ("first", "second")]
    third = await shelf.datasets.create(bob, "third")
    await shelf.datasets.assign(bob, "third", ann.account_id, Permission.READ)

    async def meant(*names: str) -> list[str]:
        return [one.id for one in await shelf.datasets.several(ann, names)]

    every = [first.id, second.id, third.id]
    assert await meant("all") == every
    assert await meant() == await meant("none") == await meant("none", "none") == []
    assert await meant("second", "first", "second", second.full_name) == [second.id, first.id]
    assert await meant("third", "none") == [third.id]
    assert await meant("first", "all", "none") == every
    for names in (["first", "absent"], ["all", "absent"], ["none", "absent"], ["absent"]):
        with pytest.raises(DatasetNotFound, match="`absent`"):
            await meant(*names)
    with pytest.raises(InvalidRequest):
        await meant(*map(str, range(1001)))
    assert [one.id for one in await shelf.datasets.several(bob, ["all"])] == [third.id]


async def test_only_what_is_ready_is_counted(shelf: Shelf, ann: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    await shelf.put(ann, "handbook", "a.txt", ["one", "two", "three"])
    await shelf.put(ann, "handbook", "b.txt", ["four"])
    await shelf.put(ann, "handbook", "c.txt", ["five"], DocumentState.EMBEDDING)
    await shelf.put(ann, "handbook", "d.txt", ["six"], DocumentState.FAILED)
    found = await shelf.datasets.find(ann, "handbook")
    assert (found.documents, found.chunks) == (2, 4)


async def test_permissions_are_ranks(shelf: Shelf, ann: Caller, bob: Caller, eve: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    await shelf.put(ann, "handbook", "a.txt")
    assign = shelf.datasets.assign
    acts = {
        Permission.READ: lambda: shelf.datasets.find(bob, "handbook"),
        Permission.EDIT: lambda: shelf.datasets.find(bob, "handbook", Permission.EDIT),
        Permission.ADMIN: lambda: shelf.datasets.assignments(bob, "handbook"),
        Permission.OWNER: lambda: shelf.datasets.delete(bob, "handbook"),
    }
    for given in (Permission.ADMIN, Permission.EDIT, Permission.READ):
        await assign(ann, "handbook", bob.account_id, given)
        assert (await shelf.datasets.find(bob, "handbook")).permission is given
        for need, act in acts.items():
            if need <= given:
                await act()
                continue
            with pytest.raises(
                PermissionDenied, match=rf"the permission {need.name.lower()}; you have {given.name.lower()}"
            ):
                await act()
    for refused in (
        shelf.datasets.change_terms(bob, "handbook", SearchTerms("dense")),
        assign(bob, "handbook", eve.account_id, Permission.READ),
        assign(bob, "handbook", bob.account_id, Permission.ADMIN),
        shelf.datasets.deassign(bob, "handbook", eve.account_id),
        shelf.documents.delete(bob, "handbook", "a.txt"),
    ):
        with pytest.raises(PermissionDenied):
            await refused
    assert (await shelf.datasets.find(ann, "handbook")).documents == 1


async def test_admins_let_others_in_and_nobody_becomes_a_second_owner(
    shelf: Shelf, ann: Caller, bob: Caller, eve: Caller
) -> None:
    made = await shelf.datasets.create(ann, "handbook")
    await shelf.datasets.assign(ann, "handbook", bob.account_id, Permission.ADMIN)
    await shelf.datasets.assign(bob, "handbook", eve.account_id, Permission.ADMIN)
    await shelf.datasets.assign(bob, "handbook", eve.account_id, Permission.EDIT)
    assert await shelf.datasets.assignments(bob, "handbook") == [
        Assignment(made.id, bob.account_id, "bob", Permission.ADMIN),
        Assignment(made.id, eve.account_id, "eve", Permission.EDIT),
    ]
    wrong: list[tuple[str, Permission, type[SageholdError]]] = [
        (eve.account_id, Permission.OWNER, InvalidRequest),
        (ann.account_id, Permission.READ, InvalidRequest),
        ("acct_nobody", Permission.READ, NotFound),
    ]
    for account, permission, error in wrong:
        with pytest.raises(error):
            await shelf.datasets.assign(bob, "handbook", account, permission)
    assert (await shelf.datasets.find(ann, "handbook")).permission is Permission.OWNER
    await shelf.datasets.deassign(bob, "handbook", ann.account_id)
    assert (await shelf.datasets.find(ann, "handbook")).permission is Permission.OWNER


async def test_who_is_let_in_may_leave(shelf: Shelf, ann: Caller, bob: Caller, eve: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    await shelf.datasets.assign(ann, "handbook", bob.account_id, Permission.READ)
    await shelf.datasets.deassign(ann, "handbook", eve.account_id)
    await shelf.datasets.deassign(bob, "handbook", bob.account_id)
    assert await shelf.datasets.list(bob) == []
    assert await shelf.datasets.assignments(ann, "handbook") == []


async def test_admins_let_in_the_same_account_at_once(shelf: Shelf, ann: Caller, bob: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    levels = [Permission.READ, Permission.EDIT, Permission.ADMIN] * 2
    await asyncio.gather(*(shelf.datasets.assign(ann, "handbook", bob.account_id, level) for level in levels))
    assert len(await shelf.datasets.assignments(ann, "handbook")) == 1


async def test_terms_are_kept_and_wrong_ones_refused(shelf: Shelf, ann: Caller) -> None:
    await shelf.datasets.create(ann, "handbook")
    terms = SearchTerms("keyword", 0.5, 2.0, rerank=True)
    assert (await shelf.datasets.change_terms(ann, "handbook", terms)).terms == terms
    assert (await shelf.datasets.find(ann, "handbook")).terms == terms
    wrong = {
        "fusion": replace(terms, fusion="both"),  # type: ignore[arg-type]
        "keyword_weight": replace(terms, keyword_weight=-1.0),
        "dense_weight": replace(terms, dense_weight=math.nan),
    }
    for param, bad in wrong.items():
        with pytest.raises(InvalidRequest) as refused:
            await shelf.datasets.change_terms(ann, "handbook", bad)
        assert refused.value.param == param
    with pytest.raises(InvalidRequest):
        await shelf.datasets.change_terms(ann, "handbook", SearchTerms("hybrid", 0.0, 0.0))
    assert (await shelf.datasets.find(ann, "handbook")).terms == terms


async def test_an_account_has_so_many_and_no_more(
    shelf: Shelf, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.knowledge.datasets.MOST_DATASETS", 2)
    for name in ("first", "second"):
        await shelf.datasets.create(ann, name)
    with pytest.raises(Conflict):
        await shelf.datasets.create(ann, "third")
    await shelf.datasets.create(bob, "third")
    await shelf.datasets.delete(ann, "first")
    await shelf.datasets.create(ann, "third")


async def test_an_account_is_let_in_to_so_many_and_no_more(
    shelf: Shelf, ann: Caller, bob: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would fill its questions with theirs: it is not asked."""
    monkeypatch.setattr("server.knowledge.datasets.MOST_SHARED", 2)
    for name in ("first", "second", "third"):
        await shelf.datasets.create(ann, name)
    for name in ("first", "second", "second"):
        await shelf.datasets.assign(ann, name, bob.account_id, Permission.READ)
    await shelf.datasets.assign(ann, "second", bob.account_id, Permission.EDIT)
    with pytest.raises(Conflict):
        await shelf.datasets.assign(ann, "third", bob.account_id, Permission.READ)
    assert [(one.name, one.permission) for one in await shelf.datasets.list(bob)] == [
        ("first", Permission.READ),
        ("second", Permission.EDIT),
    ]
    await shelf.datasets.deassign(bob, "first", bob.account_id)
    await shelf.datasets.assign(ann, "third", bob.account_id, Permission.READ)


async def test_an_account_that_an_older_version_made_gets_a_number(shelf: Shelf, ann: Caller, bob: Caller) -> None:
    async with shelf.database.write() as session:
        await session.execute(text("UPDATE accounts SET number = NULL"))
    hers, his = await shelf.datasets.create(ann, "handbook"), await shelf.datasets.create(bob, "handbook")
    assert {hers.owner_number, his.owner_number} == {1, 2}
    assert await shelf.datasets.find(ann, hers.full_name) == hers
