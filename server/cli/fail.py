"""How a command ends when something is not as it should be: one clear message, and exit code 2."""

from typing import NoReturn

import typer


def fail(message: object) -> NoReturn:
    """Print the message to standard error, a line for each problem, and exit with code 2."""
    for line in str(message).splitlines():
        typer.echo(f"sagehold: {line}", err=True)
    raise typer.Exit(2)
