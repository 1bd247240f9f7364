"""A case: one documented behaviour, and what a server needs to be asked for it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conformance.target import Target

Check = Callable[["Target"], None]

FILES = (
    "transport",
    "headers",
    "errors",
    "models",
    "chat",
    "sampling",
    "chat_stream",
    "tools",
    "structured",
    "vision",
    "responses",
    "responses_stream",
    "responses_kept",
    "conversations",
    "open_responses",
    "completions",
    "tokens",
    "embeddings",
    "rerank",
    "images",
    "image_edits",
    "speech",
    "transcription",
    "files",
    "batches",
    "absent",
)
"""The files of tests/conformance/cases, in the order of the table."""


class NotServed(Exception):
    """The server lacks the route or the model that a case is about; the message says which."""


class Failed(AssertionError):
    """The server does something else than what is documented; the message says what, in a line."""


@dataclass(frozen=True, slots=True)
class Case:
    """id: file.function. title: the documented behaviour, in a sentence. source: who documents it.

    needs: kinds of models, as `--model KIND=NAME` gives them. alone: other requests in the batch could change what it
    compares.
    """

    id: str
    section: str
    title: str
    source: str
    needs: tuple[str, ...]
    alone: bool
    check: Check


_CASES: dict[str, Case] = {}


def case(source: str, *, needs: str | tuple[str, ...] = (), alone: bool = False) -> Callable[[Check], Check]:
    """Register a function as a case. Its docstring is the title; its module's, up to the full stop, the section."""

    def registered(check: Check) -> Check:
        module = inspect.getmodule(check)
        assert module is not None
        name = f"{module.__name__.rpartition('.')[2]}.{check.__name__}"
        title = " ".join((check.__doc__ or "").split())
        assert title, f"{name} has no docstring"
        assert name not in _CASES, f"there are two cases {name}"
        section = (module.__doc__ or "").partition(".")[0].strip()
        wanted = (needs,) if isinstance(needs, str) else needs
        _CASES[name] = Case(name, section, title, source, wanted, alone, check)
        return check

    return registered


def all_cases() -> list[Case]:
    """Every case, in the order of the files and of the lines in them."""
    for file in FILES:
        import_module(f"tests.conformance.cases.{file}")
    order = {name: place for place, name in enumerate(FILES)}
    return sorted(_CASES.values(), key=lambda one: order[one.id.partition(".")[0]])
