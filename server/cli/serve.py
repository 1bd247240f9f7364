"""`sagehold serve`: the server itself, from its settings to its last process."""

import asyncio
import contextlib
import errno
import gc
import ipaddress
import json
import logging
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli.config import ConfigFile, read_settings
from server.cli.ending import AFTER_GRACE, Ending
from server.cli.fail import fail
from server.observability import logs, raw_output
from server.settings import PREFIX, Settings, SettingsError
from server.storage.folder import prepare
from server.storage.opening import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.api.services import Services
    from server.models.config.spec import ModelSpec

log = logging.getLogger(__name__)

KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than clients' pools keep theirs, so that the client closes first."""
BACKLOG = 2048


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
        import_engines(Catalog.load(settings.model_configs, settings.models_dir, None, only=settings.models).models)


def import_engines(specs: "Sequence[ModelSpec]") -> None:
    """As `begin_imports`, for models that are known. Ends the command where they can't run on this machine."""
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
        forkserver.start()


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
    """Build the services, serve until a signal, then end every engine."""
    from server.accounts.keys.secret import SecretError
    from server.accounts.limits.limiter import LimitsError
    from server.api.connections import make_room
    from server.api.http1 import Http1Protocol
    from server.app import at_work, create_app
    from server.cli.http_server import http_server
    from server.models.config.files import CatalogError
    from server.observability import Metrics
    from server.pipeline.shutdown import Shutdown
    from server.services import build_services

    begun = time.monotonic()
    shutdown = Shutdown()
    make_room(settings.max_connections)
    async with contextlib.AsyncExitStack() as stack:
        try:
            services = await stack.enter_async_context(
                build_services(settings, metrics=Metrics(), shutdown=shutdown, forced=lambda: ending.forced)
            )
        except (CatalogError, DatabaseError, SecretError, LimitsError, SettingsError) as error:
            fail(error)
        app, grace = create_app(settings, services), settings.shutdown_grace
        protocol = Http1Protocol.bounded(reader_timeout=settings.reader_timeout, connections=settings.max_connections)
        server = http_server(app, protocol, shutdown, grace, keep_alive=KEEP_ALIVE, backlog=BACKLOG)
        await stack.enter_async_context(at_work(app, services))
        ending.on_begin, ending.on_force = server.begin_end, server.force_end
        ending.within = grace + AFTER_GRACE
        _announce(services, _url(listener))
        telling = asyncio.create_task(_tell_when_ready(services, begun))
        try:
            await server.serve(sockets=[listener])
        finally:
            telling.cancel()
            log.info("stopping the engines")
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


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(services: "Services", url: str) -> None:
    """What a person needs to begin: the address, the first key, and a line to paste.

    With log lines in JSON it is one of them, on standard output, with the fields `url`, once `first_key`, and
    `pages` unless they are off. Last of the lines for people is the page: it is what most of them will open.
    """
    pages = None if services.settings.pages == "off" else f"{url}/"
    if services.settings.log_format == "json":
        facts = {"url": url, "first_key": services.first_key, "pages": pages}
        said = {name: fact for name, fact in facts.items() if fact is not None}
        logs.announce(f"listening on {url}", said, raw_output.capture().stdout)
        return
    lines = ["", f"sagehold listens on {url}  (OpenAI API: {url}/v1)"]
    if services.first_key is not None:
        lines += ["", f"Your API key, shown only this once: {services.first_key}"]
    lines += ["", "Try it:", f"  {_curl(services, url)}"]
    if pages is not None:
        lines += ["", f"Or in a browser: {pages}"]
    lines.append("")
    _say("\n".join(lines))


def _curl(services: "Services", url: str) -> str:
    from server.core import Task

    key = services.first_key or "$OPENAI_API_KEY"
    header = "" if services.settings.auth == "off" else f' -H "Authorization: Bearer {key}"'
    chats = [entry for entry in services.catalog.public_models() if Task.CHAT in entry.tasks]
    if not chats:
        return f"curl {url}/v1/models{header}"
    broadest = max(chats, key=lambda entry: len(entry.tasks))
    question = {"role": "user", "content": "What is the capital of Japan?"}
    body = json.dumps({"model": broadest.id, "messages": [question]})
    return f"curl {url}/v1/chat/completions{header} -H \"Content-Type: application/json\" -d '{body}'"


async def _tell_when_ready(services: "Services", begun: float) -> None:
    # What was imported stays. Unfrozen, every full collection would walk it while all streams stand still. Not later:
    # a model that is loaded may be evicted, and what is frozen then is never given back.
    gc.collect()
    gc.freeze()
    while not services.registry.ready:  # noqa: ASYNC110 - for people: a tenth of a second is soon enough
        await asyncio.sleep(0.1)
    seconds = round(time.monotonic() - begun, 1)
    if services.settings.log_format == "json":
        logs.announce(f"ready after {seconds} s", {"seconds": seconds}, raw_output.capture().stdout)
    else:
        _say(f"ready after {seconds} s")


def _say(text: str) -> None:
    """To standard output, which may have been closed meanwhile, as by `sagehold serve | head -1`."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
