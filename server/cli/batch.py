"""`sagehold batch run`: a file of requests, answered by this machine's models without a server."""

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.config import ConfigFile, read_settings
from server.cli.fail import fail
from server.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.cli.batch_work import Outcome
    from server.jobs.batches.records import LineError

app = typer.Typer(help="Answer files of requests, as the batches of the OpenAI API.", no_args_is_help=True)

INTERRUPTED = 130
"""The exit code of whoever is ended by Ctrl-C, as a shell tells it."""


@app.callback()
def batches() -> None:
    """Answer files of requests, as the batches of the OpenAI API."""


def _flag(setting: str) -> object:
    return typer.Option(help=Settings.model_fields[setting].description, show_default=False)


@app.command()
def run(
    requests: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="JSONL, a request a line: custom_id, method, url, body.",
            exists=True,
            dir_okay=False,
            readable=True,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", dir_okay=False, help="Where answers go. It is added to, and says what is done."),
    ],
    errors: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="Where refused and failed requests go.",
            show_default="OUTPUT, with .errors before its ending",
        ),
    ] = None,
    models: Annotated[str | None, _flag("models")] = None,
    models_dir: Annotated[Path | None, _flag("models_dir")] = None,
    model_configs: Annotated[Path | None, _flag("model_configs")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error")] = "warning",
    config: ConfigFile = None,
) -> None:
    """Answer every request of a file, in the form of the OpenAI API's batches.

    No server is needed, no key and no port, and nothing is billed: the models that the file names are loaded here. The
    whole file is looked at before that. Ctrl-C ends it; the same command again goes on where it ended, as it does after
    a crash.

    Exit code 0: every request was answered. 1: some were refused or failed, and stand in the file of errors. 2: nothing
    was begun, for something is wrong with the file or the settings. 130: it was ended.
    """
    settings = read_settings(
        config, models=models, models_dir=models_dir, model_configs=model_configs, log_level=log_level
    )
    failures = errors or output.with_name(f"{output.stem}.errors{output.suffix}")
    _check_paths(requests, output, failures)

    from server.observability import logs

    logs.configure_logging(settings.log_level, "text")
    if settings.log_level != "debug":
        _be_quiet()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # it warns at each fork otherwise

    import uvloop

    from server.cli.batch_work import NotBegun, Work
    from server.errors import StorageFull
    from server.models.config.files import CatalogError

    try:
        outcome = uvloop.run(Work(settings, requests, output, failures).run())
    except NotBegun as wrong:
        _tell(wrong.errors)
        fail(wrong)
    except (CatalogError, OSError) as error:
        fail(error)
    except StorageFull as error:
        fail(error.message)
    if errors is None and failures.exists() and not failures.stat().st_size:
        failures.unlink()
    _conclude(outcome, failures)


QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "TORCH_CPP_LOG_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
"""In the environment, also for the processes that are started."""


def _be_quiet() -> None:
    """Let libraries keep to themselves what says nothing to whoever looks at the progress."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    logging.getLogger("vllm").setLevel(logging.ERROR)


def _check_paths(requests: Path, output: Path, errors: Path) -> None:
    found = [path.resolve() for path in (requests, output, errors)]
    if len(set(found)) < len(found):
        fail("INPUT, OUTPUT and the file of errors must be three different files")
    for path in (output, errors):
        if not path.absolute().parent.is_dir():
            fail(f"there is no folder {path.absolute().parent}")


def _tell(errors: "Sequence[LineError]") -> None:
    for one in errors:
        where = "" if one.line is None else f"line {one.line}: "
        field = "" if one.param is None else f" ({one.param})"
        typer.echo(f"{where}{one.message}{field}", err=True)


def _conclude(outcome: "Outcome", errors: Path) -> None:
    """What came of it, in a line on standard error, and the exit code."""
    typer.echo(outcome.in_words(errors), err=True)
    whole = outcome.completed + outcome.failed == outcome.total
    if outcome.stopped and not whole:
        raise typer.Exit(INTERRUPTED)
    if outcome.failed or not whole:
        raise typer.Exit(1)
