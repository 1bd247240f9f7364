"""Personas of the three origins, on both kinds of database: which hides which, how they are found, changed, noted."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from server.accounts.keys.service import Accounts
from server.errors import Conflict, InvalidRequest, NotFound
from server.knowledge.built_in_personas import BUILT_IN
from server.knowledge.personas import FIRST_MADE, LIFETIME, Personas
from server.knowledge.records import Persona
from server.settings import SettingsError

pytestmark = pytest.mark.anyio

CLERK = "id: 40\nname: Clerk\ndescription: Short answers.\nprompt: You are a clerk.\n"


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def personas(accounts: Accounts, clock: Any, ticks: Ticks) -> Personas:
    return Personas(accounts.database, now=clock, tick=ticks)


def test_those_built_in_are_short_and_have_numbers_and_names_of_their_own() -> None:
    assert sorted(BUILT_IN) == list(range(1, len(BUILT_IN) + 1))
    assert len({persona.name.casefold() for persona in BUILT_IN.values()}) == len(BUILT_IN) == 12
    assert len(BUILT_IN[1].prompt) < 40
    assert all(persona.description and 0 < len(persona.prompt) < 300 for persona in BUILT_IN.values())


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, 1), ("default", 1), ("", 1), ("nobody", 1), (0, 1), (-4, 1), (999, 1), ("9" * 5000, 1), ("²", 1),
        ("4.0", 1), (4, 4), ("4", 4), (" 4 ", 4), ("writer", 4), ("Software Engineer", 3), ("٤", 1),
    ],
)  # fmt: skip
async def test_one_is_found_by_number_or_name_and_else_it_is_the_default(
    personas: Personas, asked: Any, found: int
) -> None:
    assert (await personas.find(asked)).id == found


async def test_what_is_made_is_there_changed_and_gone(personas: Personas, accounts: Accounts) -> None:
    made = await personas.create(name="Clerk", prompt="You are a clerk.\nBe brief.", actor="key_1")
    assert made == Persona(FIRST_MADE, "Clerk", "", "You are a clerk.\nBe brief.", "database", 1)
    assert await personas.find("clerk") == made
    assert (await personas.create(name="Other", prompt="")).id == FIRST_MADE + 1
    changed = await personas.change(made.id, prompt="Be very brief.", actor="key_2")
    assert changed == replace(made, prompt="Be very brief.", version=2)
    assert await personas.change(made.id, prompt="Be very brief.") == changed
    assert await personas.get(made.id) == changed
    await personas.delete(made.id, actor="key_3")
    assert (await personas.find("clerk")).id == 1
    with pytest.raises(NotFound, match=f"no persona {made.id}"):
        await personas.get(made.id)
    assert await acts(accounts) == [
        ("key_1", "persona.create", "1000", {"name": "Clerk", "description": "", "prompt": made.prompt, "version": 1}),
        ("local", "persona.create", "1001", {"name": "Other", "description": "", "prompt": "", "version": 1}),
        (
            "key_2",
            "persona.change",
            "1000",
            {"before": {"prompt": made.prompt, "version": 1}, "after": {"prompt": "Be very brief.", "version": 2}},
        ),
        (
            "key_3",
            "persona.delete",
            "1000",
            {"name": "Clerk", "description": "", "prompt": "Be very brief.", "version": 2},
        ),
    ]


async def acts(accounts: Accounts) -> list[tuple[str, str, str, Any]]:
    async with accounts.database.read() as session:
        rows = await session.execute(
            text("SELECT actor, action, target, details FROM audit_log WHERE action LIKE 'persona.%' ORDER BY id")
        )
        return [(actor, action, target, json.loads(details)) for actor, action, target, details in rows]


async def test_a_changed_built_in_one_is_hidden_until_the_change_is_deleted(accounts: Accounts, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CLERK + "---\nid: 2\nname: Librarian\nprompt: You are a librarian.\nversion: 7\n")
    personas = Personas(accounts.database, tmp_path)
    assert [(each.id, each.name, each.origin) for each in await personas.list()][:3] == [
        (1, "Assistant", "built-in"),
        (2, "Librarian", "file"),
        (3, "Software engineer", "built-in"),
    ]
    assert [(each.id, each.origin) for each in await personas.list()][-1] == (40, "file")
    hidden = await personas.find(2)
    changed = await personas.change(2, prompt="You are a strict librarian.")
    assert (changed.name, changed.origin, changed.version) == ("Librarian", "database", 8)
    await personas.delete(2)
    assert await personas.find(2) == hidden
    with pytest.raises(NotFound, match="can only be changed"):
        await personas.delete(2)
    put = await personas.put(replace(BUILT_IN[1], prompt="Yes."))
    assert (put, await personas.find(None)) == (
        Persona(1, "Assistant", BUILT_IN[1].description, "Yes.", "database", 2),
    ) * 2


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "12"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "WRITER"}, "name"),
        ({"prompt": "x" * 20_001}, "prompt"),
        ({"prompt": "a\0b"}, "prompt"),
        ({"description": "x" * 1001}, "description"),
        ({"persona_id": 0}, "id"),
        ({"persona_id": 2**31}, "id"),
    ],
)
async def test_wrong_ones_are_refused_by_field_and_leave_nothing(
    personas: Personas, accounts: Accounts, wrong: dict[str, Any], param: str
) -> None:
    before = await personas.list()
    with pytest.raises(InvalidRequest) as refused:
        await personas.create(**{"name": "Clerk", "prompt": "You are a clerk.", **wrong})
    assert refused.value.param == param
    assert (await personas.list(), await acts(accounts)) == (before, [])


async def test_a_number_that_is_taken_is_not_made_anew(personas: Personas) -> None:
    with pytest.raises(Conflict):
        await personas.create(name="Clerk", prompt="", persona_id=3)
    with pytest.raises(NotFound):
        await personas.change(50, name="Clerk")


async def test_another_process_sees_a_change_within_seconds_and_asks_the_database_no_oftener(
    personas: Personas, accounts: Accounts, ticks: Ticks
) -> None:
    other = Personas(accounts.database)
    assert (await personas.find(2000)).id == 1
    await other.put(Persona(2000, "Clerk", "", "You are a clerk."))
    assert (await other.find(2000)).id == 2000
    ticks.now += LIFETIME * 0.9
    assert (await personas.find(2000)).id == 1  # from memory
    ticks.now += LIFETIME * 0.2
    assert (await personas.find(2000)).id == 2000


WRONG_FILES: list[tuple[str, str]] = [
    ("id: 40\nname: Clerk\npromt: x\n", r"a.yaml:3: promt: there is no such field; did you mean prompt\? allowed: id"),
    ("id: 40\nname: Clerk\n", "a.yaml:1: prompt: is missing"),
    (CLERK + "id: 41\n", "a.yaml:5: id: stands twice, on line 1 and here"),
    (CLERK.replace("40", "'40'"), "a.yaml:1: id: Input should be a valid integer, not '40'"),
    (CLERK.replace("40", "0"), "a.yaml:1: id: Input should be greater than or equal to 1, not 0"),
    (CLERK.replace("Clerk", "7"), "a.yaml:2: name: Input should be a valid string, not 7"),
    (CLERK + "---\n" + CLERK, r"a.yaml:6: id: is that of another persona already \(a.yaml, line 1\)"),
    (CLERK + "---\n" + CLERK.replace("40", "41"), r"a.yaml:7: name: is that of another persona already"),
    ("- a\n", "a.yaml:1: a document must be a mapping of fields"),
    ("a: [\n", "a.yaml:2: not valid YAML"),
]


@pytest.mark.parametrize(("content", "complaint"), WRONG_FILES)
def test_wrong_files_are_told_with_file_line_and_field(
    tmp_path: Path, content: str, complaint: str, untouched: Callable[[], Any]
) -> None:
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(SettingsError, match=complaint):
        Personas(untouched(), tmp_path)


def test_a_folder_that_is_not_there_is_told_with_its_setting(tmp_path: Path, untouched: Callable[[], Any]) -> None:
    with pytest.raises(SettingsError, match=r"no such folder of personas \(SAGEHOLD_PERSONAS\)"):
        Personas(untouched(), tmp_path / "none")


@pytest.fixture
def untouched() -> Callable[[], Any]:
    """A database that is not used: files are read before."""
    return object
