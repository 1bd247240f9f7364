"""The command `sagehold`. Its commands live in `server/cli`, each imported only when it is called."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

COMMANDS = {
    "serve": ("server.cli.serve", "Serve the installed models over HTTP."),
    "keys": ("server.cli.keys", "Create, list, change and revoke API keys."),
    "accounts": ("server.cli.accounts", "Create, list, change and close accounts, and grant them credits."),
    "batch": ("server.cli.batch", "Answer a file of requests, without a server."),
    "datasets": ("server.cli.datasets", "Create, fill, search, share and delete datasets."),
    "usage": ("server.cli.usage", "Sum up what was used, by key, model, day."),
    "ledger": ("server.cli.ledger", "Export the ledger of credits, and check it."),
    "personas": ("server.cli.personas", "See, make and change the personas of the Ask Sage API."),
    "audit": ("server.cli.audit", "See who administered what."),
    "backup": ("server.cli.backup", "Back up accounts, credits, datasets and responses, while the server runs."),
    "restore": ("server.cli.restore", "Put a backup into the data folder."),
    "models": ("server.cli.models", "See which models are installed, and check them."),
    "plan": ("server.cli.plan", "See what a quality mode would do with a request."),
    "config": ("server.cli.config", "Check the settings and the model configs."),
    "version": ("server.cli.version", "Tell the versions of sagehold and of what it runs on."),
}
"""Each command's module, and its line in the help. A module exports a typer `app`, or one function `command`."""

HELP = """A local inference server: chat, images, transcription and speech behind the OpenAI API; questions about your
own documents behind the Ask Sage API.

[bold]sagehold serve[/bold] starts it and prints the first API key. Settings come from flags, from SAGEHOLD_*
variables, or from the YAML file named by SAGEHOLD_CONFIG; [bold]sagehold config show[/bold] lists them all.
"""


def build(called: str | None) -> typer.Typer:
    """The command line with `called` ready to run and the other commands by name only: `--help` must be quick."""
    import typer

    from server.cli.root import root

    app = typer.Typer(
        help=HELP, no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False
    )
    app.callback()(root)
    for name, (module, line) in COMMANDS.items():
        if name != called:
            app.command(name, help=line)(_not_imported)
            continue
        imported = import_module(module)
        if hasattr(imported, "app"):
            app.add_typer(imported.app, name=name, help=line)
        else:
            app.command(name, short_help=line)(imported.command)  # its docstring says more
    return app


def _not_imported() -> None:
    raise AssertionError("only the command that is called is imported")


def main() -> None:
    called = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    # Ctrl-C ends what has only begun, without a trace of where in the imports it was.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from server.offline import go_offline

    go_offline()
    app = build(called)
    if called != "serve":  # which heeds signals by itself as soon as it has something to put in order
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app(prog_name="sagehold")
    except SystemExit as end:
        # After a chat model the interpreter's own end would tell of what Triton's bindings have left behind.
        if "triton" in sys.modules and isinstance(end.code, int):
            from server.cli.ending import leave

            leave(end.code)
        raise


if __name__ == "__main__":  # the engines' processes are spawned, and import this file
    main()
