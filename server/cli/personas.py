"""`sagehold personas`: list, show, set, delete. Works beside a running server or without one."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.table import Table

from server.cli.administration import told
from server.cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from server.knowledge.personas import Personas
    from server.knowledge.records import Persona
    from server.settings import Settings

app = typer.Typer(help="See, make and change the personas of the Ask Sage API.", no_args_is_help=True)

Result = TypeVar("Result")
Number = Annotated[int, typer.Argument(metavar="ID", min=1, help="The persona's number.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all that can be chosen, by number."""
    rows = [_row(persona) for persona in _with(lambda personas: personas.list())]
    if as_json:
        print_json(rows)
        return
    table = Table("id", "name", "origin", "version", "description")
    for row in rows:
        table.add_row(str(row["id"]), row["name"], row["origin"], str(row["version"]), row["description"])
    print_table(table, 0)


@app.command()
def show(persona: Number, as_json: AsJson = False) -> None:
    """Show one persona; its prompt stands alone at the end."""
    row = _row(_with(lambda personas: personas.get(persona)))
    if as_json:
        print_json(row)
        return
    typer.echo(f"{row['id']}  {row['name']} ({row['origin']}, version {row['version']})")
    if row["description"]:
        typer.echo(row["description"])
    typer.echo(f"\n{row['prompt']}")


@app.command("set")
def set_(
    persona: Annotated[
        int | None,
        typer.Argument(metavar="[ID]", min=1, help="The number of the one to change, or to make.", show_default="new"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Its name; there is only one of each.")] = None,
    description: Annotated[str | None, typer.Option(help="A line about it.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Its system prompt.")] = None,
    prompt_file: Annotated[
        Path | None,
        typer.Option(help="File of the prompt; - for standard input.", dir_okay=False, allow_dash=True),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a persona, or change what is given. One that is built in or of a file is hidden by the changed one.

    A running server follows within seconds.
    """
    if prompt is not None and prompt_file is not None:
        raise typer.BadParameter("choose one of --prompt and --prompt-file")
    text = _read(prompt_file) if prompt_file is not None else prompt

    async def act(personas: "Personas") -> "Persona":
        if persona is not None and any(known.id == persona for known in await personas.list()):
            return await personas.change(persona, name=name, description=description, prompt=text)
        if name is None or text is None:
            raise typer.BadParameter("a new persona needs --name, and --prompt or --prompt-file")
        return await personas.create(name=name, prompt=text, description=description or "", persona_id=persona)

    row = _row(_with(act))
    if as_json:
        print_json(row)
    else:
        typer.echo(f"Persona {row['id']} ({row['name']}) is set, version {row['version']}.")


@app.command()
def delete(persona: Number) -> None:
    """Delete one that was made or changed; what it hid is there again. A running server follows within seconds."""
    _with(lambda personas: personas.delete(persona))
    typer.echo(f"Deleted persona {persona}.")


def _with(act: "Callable[[Personas], Awaitable[Result]]") -> Result:
    from server.accounts.keys.service import open_database
    from server.knowledge.personas import Personas

    async def run(settings: "Settings") -> Result:
        database, lock = await open_database(settings, create=False)
        try:
            return await act(Personas(database, settings.personas))
        finally:
            await database.aclose()
            lock.release()

    return told(run)


def _read(file: Path) -> str:
    try:
        return typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} can't be read as UTF-8 text: {error}") from None


def _row(persona: "Persona") -> dict[str, Any]:
    return {
        "id": persona.id,
        "name": persona.name,
        "description": persona.description,
        "prompt": persona.prompt,
        "origin": persona.origin,
        "version": persona.version,
    }
