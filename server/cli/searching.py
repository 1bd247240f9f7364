"""`sagehold datasets search`: the passages that an answer would be given."""

import textwrap
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from server.cli.knowledge import DEFAULT, Account, consult
from server.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.core import Caller
    from server.knowledge.knowledge import Knowledge
    from server.knowledge.records import Fusion, Passage

WIDTH = 100


def search(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What is searched for.")],
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", help="A dataset's name; may be given several times.", show_default="all"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="Most passages.")] = 5,
    fusion: Annotated[
        str | None, typer.Option(help="hybrid, keyword or dense.", show_default="as each dataset has it")
    ] = None,
    account: Account = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Search in datasets: the best passages, best first, with where they stand. Nothing is billed.

    The embedding model is loaded for it; `--fusion keyword` needs none.
    """
    from server.knowledge.records import Fusion

    if fusion is not None and fusion not in get_args(Fusion):
        raise typer.BadParameter(f"{fusion!r} is not one of {', '.join(get_args(Fusion))}", param_hint="--fusion")
    if not question.strip():
        raise typer.BadParameter("there is no word in it", param_hint="QUESTION")

    async def act(knowledge: "Knowledge", caller: "Caller") -> "Sequence[Passage]":
        datasets = await knowledge.datasets.several(caller, dataset or ["all"])
        chosen = cast("Fusion | None", fusion)
        return await knowledge.retrieval.search(caller, question, datasets, limit, fusion=chosen)

    found = consult(account, act)
    if as_json:
        print_json([_row(passage) for passage in found])
        return
    if not found:
        typer.echo("Nothing was found.", err=True)
    for place, passage in enumerate(found, 1):
        typer.echo(f"[{place}] {_where(passage)}")
        for line in passage.chunk.text.splitlines():
            typer.echo(textwrap.fill(_printable(line), WIDTH, initial_indent="    ", subsequent_indent="    "))
        typer.echo()


def _where(passage: "Passage") -> str:
    """For example: leave.pdf, page 3, Leave › Annual leave (handbook, score 0.0328: words 1, meaning 2)."""
    chunk = passage.chunk
    parts = [passage.filename]
    if chunk.page is not None:
        parts.append(f"page {chunk.page}")
    if chunk.heading:
        parts.append(chunk.heading)
    ranks = [("words", passage.keyword_rank), ("meaning", passage.dense_rank)]
    told = ", ".join(f"{order} {rank}" for order, rank in ranks if rank is not None)
    return _printable(f"{', '.join(parts)} ({passage.dataset.name}, score {passage.score:.4f}: {told})")


def _printable(text: str) -> str:
    """What a document holds may be what a terminal obeys."""
    return "".join(one if one.isprintable() else " " for one in text)


def _row(passage: "Passage") -> dict[str, Any]:
    chunk = passage.chunk
    return {
        "dataset": passage.dataset.full_name,
        "document": passage.document_id,
        "filename": passage.filename,
        "page": chunk.page,
        "heading": chunk.heading,
        "place": chunk.place,
        "start": chunk.start,
        "end": chunk.end,
        "score": passage.score,
        "keyword_rank": passage.keyword_rank,
        "dense_rank": passage.dense_rank,
        "context": passage.context,
        "text": chunk.text,
    }
