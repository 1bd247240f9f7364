"""Personas: those that come with the server, those of the operator's files, and those of the admin API."""

import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from pydantic import ValidationError
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.errors import Conflict, InvalidRequest, NotFound
from server.knowledge.acts import LOCAL, note
from server.knowledge.built_in_personas import BUILT_IN
from server.knowledge.persona_files import MOST_ID, PersonaFields, complaint, read_personas
from server.knowledge.records import Persona
from server.knowledge.tables import PersonaRow
from server.storage.clock import utc_now
from server.storage.database import SERVER_WAIT, Database

DEFAULT = 1
FIRST_MADE = 1000
"""The least number of those that are made without one: smaller ones are left to the server and to files."""
LIFETIME = 3.0
"""Seconds that a change by another process may go unnoticed here."""
CHANGE_LOCK = 0x5A6E_0011


class PersonaChanges(TypedDict, total=False):
    """What of a persona is to change; None, or not there, stays as it is."""

    name: str | None
    description: str | None
    prompt: str | None


class Personas:
    """By number. One in the database hides one of a file, which hides a built-in one.

    Invariant: a change made here counts at once; one by another process after LIFETIME.
    """

    def __init__(
        self,
        database: Database,
        folder: Path | None = None,
        *,
        now: Callable[[], datetime] = utc_now,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        """folder: of the operator's files, which are read now. Raises SettingsError, worded for the operator."""
        self._database = database
        self._given: Mapping[int, Persona] = {**BUILT_IN, **(read_personas(folder) if folder is not None else {})}
        self._now = now
        self._tick = tick
        self._known: Mapping[int, Persona] = {}
        self._until = float("-inf")
        self._changes = 0

    async def list(self) -> Sequence[Persona]:
        """All that can be chosen, by number."""
        known = await self._all()
        return [known[number] for number in sorted(known)]

    async def find(self, asked: str | int | None) -> Persona:
        """By its number, also as text, or by its name; anything else is the default one, as Ask Sage has it."""
        known = await self._all()
        number = asked if isinstance(asked, int) else None
        if isinstance(asked, str):
            text = asked.strip()
            if text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_ID)):
                number = int(text)
            else:
                number = _named(known.values(), text)
        return known.get(number if number is not None else DEFAULT) or known[DEFAULT]

    async def get(self, persona_id: int) -> Persona:
        """Raises NotFound."""
        persona = (await self._all()).get(persona_id)
        if persona is None:
            raise NotFound(f"There is no persona {persona_id}.", param="id")
        return persona

    async def put(self, persona: Persona, *, actor: str = LOCAL) -> Persona:
        """Make or change one; its version grows by one where there was one of its number. Raises InvalidRequest."""
        async with self._changing() as (session, known):
            return await self._write(session, known, persona, actor)

    async def create(
        self, *, name: str, prompt: str, description: str = "", persona_id: int | None = None, actor: str = LOCAL
    ) -> Persona:
        """A new one; None takes the next free number. Raises InvalidRequest, Conflict for a number that is taken."""
        async with self._changing() as (session, known):
            number = max((FIRST_MADE - 1, *known)) + 1 if persona_id is None else persona_id
            if number in known:
                raise Conflict(f"There is a persona {number} already: change that one.", param="id")
            return await self._write(session, known, Persona(number, name, description, prompt), actor)

    async def change(self, persona_id: int, *, actor: str = LOCAL, **changes: Unpack[PersonaChanges]) -> Persona:
        """Change what is given, of any of them: what comes with the server or from a file is hidden by what is made
        here. What changes nothing is not written. Raises NotFound, InvalidRequest.
        """
        async with self._changing() as (session, known):
            before = known.get(persona_id)
            if before is None:
                raise NotFound(f"There is no persona {persona_id}.", param="id")
            given = {field: value for field, value in changes.items() if value is not None}
            changed = replace(before, **given)  # type: ignore[arg-type]
            return before if changed == before else await self._write(session, known, changed, actor)

    async def delete(self, persona_id: int, *, actor: str = LOCAL) -> None:
        """Of the database: what it hid is there again. Raises NotFound."""
        async with self._changing() as (session, known):
            persona = known.get(persona_id)
            if persona is None or persona.origin != "database":
                why = f"Persona {persona_id} comes with the server or from a file: it can only be changed."
                raise NotFound(f"There is no persona {persona_id}." if persona is None else why, param="id")
            await session.execute(delete(PersonaRow).where(PersonaRow.id == persona_id))
            await self._note(session, actor, "persona.delete", persona_id, _facts(persona))

    async def _write(
        self, session: AsyncSession, known: Mapping[int, Persona], persona: Persona, actor: str
    ) -> Persona:
        before = known.get(persona.id)
        made = _checked(replace(persona, version=1 if before is None else before.version + 1))
        holder = _named((each for each in known.values() if each.id != made.id), made.name)
        if holder is not None and (before is None or made.name != before.name):
            raise InvalidRequest(f"Persona {holder} has this name already.", param="name")
        values = {**_facts(made), "updated_at": self._now()}
        await session.execute(delete(PersonaRow).where(PersonaRow.id == made.id))
        await session.execute(insert(PersonaRow).values(id=made.id, **values))
        action: Literal["persona.create", "persona.change"] = "persona.create" if before is None else "persona.change"
        details = _facts(made) if before is None else _difference(_facts(before), _facts(made))
        await self._note(session, actor, action, made.id, details)
        return made

    async def _note(
        self, session: AsyncSession, actor: str, action: str, persona_id: int, details: Mapping[str, Any]
    ) -> None:
        await note(session, self._now(), actor, action, str(persona_id), details)

    async def _all(self) -> Mapping[int, Persona]:
        if self._tick() < self._until:
            return self._known
        changes, read_at = self._changes, self._tick()
        async with self._database.read(within=SERVER_WAIT) as session:
            known = await self._read(session)
        if changes == self._changes:  # what was read before a change is not kept beyond it
            self._known, self._until = known, read_at + LIFETIME
        return known

    async def _read(self, session: AsyncSession) -> Mapping[int, Persona]:
        rows = await session.scalars(select(PersonaRow))
        return {**self._given, **{row.id: _persona(row) for row in rows}}

    @asynccontextmanager
    async def _changing(self) -> AsyncGenerator[tuple[AsyncSession, Mapping[int, Persona]], None]:
        """A unit of work, one at a time over all processes, and what there is at its beginning."""
        async with self._database.write() as session:
            await self._database.lock(session, CHANGE_LOCK)
            yield session, await self._read(session)
        self._changes += 1
        self._until = float("-inf")


def _named(personas: Iterable[Persona], name: str) -> int | None:
    """The least number of those with that name, in any case of its letters."""
    return min((each.id for each in personas if each.name.casefold() == name.casefold()), default=None)


def _persona(row: PersonaRow) -> Persona:
    return Persona(row.id, row.name, row.description, row.prompt, "database", row.version)


def _checked(persona: Persona) -> Persona:
    try:
        fields = PersonaFields(id=persona.id, **_facts(persona))
    except ValidationError as error:
        detail = error.errors()[0]
        raise InvalidRequest(f"{detail['loc'][0]}: {complaint(detail)}.", param=str(detail["loc"][0])) from None
    return Persona(**fields.model_dump(), origin="database")


def _facts(persona: Persona) -> dict[str, Any]:
    return {
        "name": persona.name,
        "description": persona.description,
        "prompt": persona.prompt,
        "version": persona.version,
    }


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in before if before[name] != after[name]]
    return {"before": {name: before[name] for name in names}, "after": {name: after[name] for name in names}}
