"""Personas: those that come with the server, those of the operator's files, and those of the admin API."""

from collections.abc import Sequence

from server.knowledge.records import Persona

DEFAULT = 1


class Personas:
    """By number. One in the database hides one of a file, which hides a built-in one."""

    async def list(self) -> Sequence[Persona]:
        raise NotImplementedError

    async def find(self, asked: str | int | None) -> Persona:
        """By its number, also as text, or by its name; anything else is the default one, as Ask Sage has it."""
        raise NotImplementedError

    async def put(self, persona: Persona) -> Persona:
        """Make or change one. Raises InvalidRequest."""
        raise NotImplementedError

    async def delete(self, persona_id: int) -> None:
        """Of the database: what it hid is there again. Raises NotFound."""
        raise NotImplementedError
