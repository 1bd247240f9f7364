"""`sagehold` itself: what may stand before the command's name."""

from typing import Annotated

import typer

from server import __version__


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"sagehold {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version, and end.")
    ] = False,
) -> None:
    """What comes before the command's name."""
