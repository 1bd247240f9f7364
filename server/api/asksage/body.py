"""Request bodies of the Ask Sage dialect: JSON, forms, multipart forms, a query string, or nothing at all."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from starlette.requests import Request

from server.api.body import Upload
from server.api.validation import Body
from server.core import Task

B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Received(Generic[B]):
    """A body's fields as their schema, and its files in the order they came."""

    body: B
    files: tuple[Upload, ...] = field(default=())


async def read(
    request: Request, schema: type[B], *, limit: int, file_limit: int | None = None, task: Task | None = None
) -> Received[B]:
    """The fields, from whichever encoding the client chose; a GET's from its query string. Explicit nulls are absent.

    Texts of forms that stand for lists, objects, numbers or truth values are read as such where the schema wants one;
    so are strings in JSON that hold JSON (`tool_choice`). A field that comes several times is a list. limit: bytes of
    the fields; file_limit: of all files together, None where none are taken. task: as `read_json` has it.

    Raises what `read_json` and `read_form` do.
    """
    raise NotImplementedError
