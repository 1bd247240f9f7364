"""From a file of any kind to its parser."""

from importlib import import_module

from server.errors import UnreadableDocument
from server.knowledge.parsing.kinds import MODULES, kind_of
from server.knowledge.parsing.outline import Outline, Sink
from server.knowledge.parsing.source import Source


def parse_document(source: Source, sink: Sink) -> None:
    """A whole document. Raises as `parse` does, and UnreadableDocument where there is no text in it."""
    parse(source, Outline(sink))
    if not sink.blocks:
        raise UnreadableDocument("There is no text in the file.")


def parse(source: Source, outline: Outline) -> None:
    """Put the file's blocks into the outline. Raises UnreadableDocument, with whatever a library stumbled over as its
    cause; OverBounds; MemoryError."""
    kind = kind_of(source)
    module = import_module(f"server.knowledge.parsing.formats.{MODULES[kind]}")
    try:
        module.parse(source, outline)
    except (UnreadableDocument, MemoryError):
        raise
    except RecursionError as error:
        raise UnreadableDocument(f"The {kind} is nested too deeply.") from error
    except Exception as error:
        # The libraries raise nothing in common over a damaged file: KeyError, struct.error, their own, and so on.
        raise UnreadableDocument(f"The {kind} is damaged, or not a regular one.") from error
    outline.flush()
