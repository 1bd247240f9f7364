"""PowerPoint presentations: a page for each slide, under its title, with tables and notes."""

from collections.abc import Iterator
from typing import Any

import pptx
from pptx.shapes.base import BaseShape

from server.knowledge.parsing.outline import Outline
from server.knowledge.parsing.packed import Package
from server.knowledge.parsing.source import Source
from server.knowledge.parsing.tabular import put_table


def parse(source: Source, outline: Outline) -> None:
    with Package(source):
        pass
    source.file.seek(0)
    slides = pptx.Presentation(source.file).slides
    total = len(slides)
    for number, slide in enumerate(slides, 1):
        outline.begin(number)
        _put(slide, outline)
        source.progress(number, total)


def _put(slide: Any, outline: Outline) -> None:
    title = slide.shapes.title
    if title is not None and title.has_text_frame:
        outline.heading(1, title.text_frame.text)
    for shape in _shapes(slide.shapes):
        if title is not None and shape.shape_id == title.shape_id:
            continue
        if shape.has_text_frame:
            outline.text(shape.text_frame.text)
        elif shape.has_table:
            rows = shape.table.rows
            put_table([[cell.text for cell in row.cells if not cell.is_spanned] for row in rows], outline)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text
        if notes.strip():
            outline.text(f"Notes: {notes}")


def _shapes(shapes: Any) -> Iterator[BaseShape]:
    """Those within groups included."""
    waiting = list(reversed(list(shapes)))
    while waiting:
        shape = waiting.pop()
        if hasattr(shape, "shapes"):
            waiting.extend(reversed(list(shape.shapes)))
        else:
            yield shape
