"""`sagehold serve`: the server itself, from its settings to its last process."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.config import ConfigFile, read_settings
from server.cli.ending import Ending
from server.cli.fail import fail
from server.observability import logs, raw_output
from server.settings import PREFIX, Settings
from server.storage.folder import prepare
from server.storage.opening import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.models.config.spec import ModelSpec

log = logging.getLogger(__name__)

BACKLOG = 2048
HANDED_OVER = 300.0
"""Seconds that the rest of the server waits, at most, for a chat model's processes to begin."""
BROKEN_OFF = 1.5
"""Seconds that engines get to stop where the start fails."""


def _flag(setting: str) -> Any:
    """A flag of the setting's name, with the setting's own description."""
    return typer.Option(help=Settings.model_fields[setting].description, show_default=False)


def command(
    host: Annotated[str | None, _flag("host")] = None,
    port: Annotated[int | None, _flag("port")] = None,
    models: Annotated[str | None, _flag("models")] = None,
    models_dir: Annotated[Path | None, _flag("models_dir")] = None,
    model_configs: Annotated[Path | None, _flag("model_configs")] = None,
    data_dir: Annotated[Path | None, _flag("data_dir")] = None,
    database_url: Annotated[str | None, _flag("database_url")] = None,
    public_url: Annotated[str | None, _flag("public_url")] = None,
    auth: Annotated[str | None, _flag("auth")] = None,
    cors_origins: Annotated[str | None, _flag("cors_origins")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error", show_default=False)] = None,
    log_format: Annotated[str | None, typer.Option(help="text or json", show_default=False)] = None,
    config: ConfigFile = None,
) -> None:
    """Serve the installed models over HTTP.

    Every setting has a SAGEHOLD_* variable, and the main ones a flag, which wins. `sagehold config show` lists all.
    """
    flags = {name: value for name, value in locals().items() if name != "config"}
    if (log_format or os.environ.get(f"{PREFIX}LOG_FORMAT")) == "json":
        raw_output.capture()  # what is wrong with the settings is in JSON too
    settings = read_settings(config, **flags)
    stderr = raw_output.capture().stderr if settings.log_format == "json" else 2
    try:
        prepare(settings.data_dir)
    except DatabaseError as error:
        fail(error)
    listener = _listen(settings.host, settings.port)

    logs.configure_logging(settings.log_level, settings.log_format, stderr)
    if settings.log_level != "debug":
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        # vLLM tells hundreds of lines of what it is doing; its warnings are enough here.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # it warns at each fork otherwise

    if settings.auth == "off" and not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        log.warning("%sAUTH is off: whoever reaches this address may use every model", PREFIX)

    begin_imports(settings)

    import uvloop

    with contextlib.closing(listener):
        uvloop.run(_serve(settings, listener))


def begin_imports(settings: Settings) -> None:
    """Let the engine processes of a chat model import beside the front end, from the first moment on.

    Their imports are the longest part of a start (docs/performance.md). Wrong configs are reported later.
    """
    from server.models.config.catalog import Catalog
    from server.models.config.files import CatalogError

    with contextlib.suppress(CatalogError):
        specs = Catalog.load(settings.model_configs, settings.models_dir, None, only=settings.models).models
        import_engines(specs, early=True)


def import_engines(specs: "Sequence[ModelSpec]", *, early: bool = False) -> None:
    """As `begin_imports`, for models that are known. Ends the command where they can't run on this machine.

    early: whether the first of them begins to load before there is anything else in this process.
    """
    from server.engines.vllm import environment, forkserver, hardware
    from server.models.config.spec import VllmModel

    chats = [spec for spec in specs if isinstance(spec, VllmModel)]
    if not chats:
        return
    finding = hardware.mismatch()
    if finding is not None and finding.fatal:
        fail(finding.text)
    if finding is not None:
        log.warning("%s", finding.text)
    environment.prepare()
    if any(spec.load == "eager" for spec in chats):
        forkserver.plan() if early else forkserver.start()


async def _serve(settings: Settings, listener: socket.socket) -> None:
    """Serve until a signal, and end the process then. Returns only by an error."""
    task = asyncio.current_task()
    assert task is not None
    ending = Ending(on_begin=task.cancel)
    ending.listen()
    try:
        await _serve_until_told(settings, listener, ending)
    except asyncio.CancelledError:
        log.info("the start was broken off")
    ending.leave()


async def _serve_until_told(settings: Settings, listener: socket.socket, ending: Ending) -> None:
    """Begin to load, build the services, serve until a signal, then end every engine.

    What imports of the API's would take of the interpreter's time, a chat model's processes begin later by, so it comes
    once they have begun. Until then `Door` has the port.
    """
    from server.cli.door import Door
    from server.engines import heap
    from server.engines.vllm import forkserver
    from server.models.config.files import CatalogError
    from server.models.opening import open_models

    begun = time.monotonic()
    async with contextlib.AsyncExitStack() as stack:
        try:
            models = await open_models(settings)
        except CatalogError as error:
            fail(error)
        door = Door(listener, lambda: {name: one.state for name, one in models.registry.states().items()})
        door.open()
        stack.push_async_callback(lambda: models.registry.stop(0, 0 if ending.forced else BROKEN_OFF))
        await models.registry.start()
        await models.registry.handed_over(HANDED_OVER)
        forkserver.drop_plan()
        with heap.permanent():
            serving = await asyncio.to_thread(import_module, "server.cli.serving")
        # Once there are services, those end the models.
        await serving.serve(settings, models, listener, door, ending, begun, built=stack.pop_all)
    log.info("stopped")


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow happens. Ends the command if the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # two sockets can be bound alike as long as neither listens
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            fail(f"port {port} on {host} is in use; choose another by --port or {PREFIX}PORT")
        fail(f"can't listen on {host}, port {port}: {error.strerror}")
    return listener
