"""A server whose models have begun to load: its services, the API on the port, and what it tells of itself."""

import asyncio
import contextlib
import json
import logging
import socket
import sys
import time
from collections.abc import Callable

from server.accounts.keys.secret import SecretError
from server.accounts.limits.limiter import LimitsError
from server.api.connections import make_room
from server.api.http1 import Http1Protocol
from server.api.services import Services
from server.app import at_work, create_app
from server.cli.door import Door
from server.cli.ending import AFTER_GRACE, Ending
from server.cli.fail import fail
from server.cli.http_server import http_server
from server.cli.serve import BACKLOG
from server.core import Task
from server.engines import heap
from server.models.config.spec import VllmModel
from server.models.opening import Models
from server.observability import Metrics, logs, raw_output
from server.pipeline.shutdown import Shutdown
from server.services import build_services
from server.settings import Settings, SettingsError
from server.storage.opening import DatabaseError

log = logging.getLogger(__name__)

KEEP_ALIVE = 75
"""Seconds an idle connection stays open: longer than clients' pools keep theirs, so that the client closes first."""


async def serve(
    settings: Settings,
    models: Models,
    listener: socket.socket,
    door: Door,
    ending: Ending,
    begun: float,
    *,
    built: Callable[[], object],
) -> None:
    """Take the port over from the door, serve until a signal, then end every engine.

    begun: by time.monotonic(). built: called when the services are there.
    """
    shutdown = Shutdown()
    make_room(settings.max_connections)
    async with contextlib.AsyncExitStack() as stack:
        try:
            services = await stack.enter_async_context(
                build_services(
                    settings, metrics=Metrics(), shutdown=shutdown, forced=lambda: ending.forced, models=models
                )
            )
        except (DatabaseError, SecretError, LimitsError, SettingsError) as error:
            fail(error)
        built()
        app, grace = create_app(settings, services), settings.shutdown_grace
        protocol = Http1Protocol.bounded(reader_timeout=settings.reader_timeout, connections=settings.max_connections)
        await stack.enter_async_context(at_work(app, services))
        waiting = door.close()
        server = http_server(app, protocol, shutdown, grace, keep_alive=KEEP_ALIVE, backlog=BACKLOG, waiting=waiting)
        ending.on_begin, ending.on_force = server.begin_end, server.force_end
        ending.within = grace + AFTER_GRACE
        _announce(services, _url(listener))
        telling = asyncio.create_task(_tell_when_ready(services, begun))
        try:
            await server.serve(sockets=[listener])
        finally:
            telling.cancel()
            log.info("stopping the engines")


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(services: Services, url: str) -> None:
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


def _curl(services: Services, url: str) -> str:
    key = services.first_key or "$OPENAI_API_KEY"
    header = "" if services.settings.auth == "off" else f' -H "Authorization: Bearer {key}"'
    chats = [entry for entry in services.catalog.public_models() if Task.CHAT in entry.tasks]
    if not chats:
        return f"curl {url}/v1/models{header}"
    broadest = max(chats, key=lambda entry: len(entry.tasks))
    question = {"role": "user", "content": "What is the capital of Japan?"}
    body = json.dumps({"model": broadest.id, "messages": [question]})
    return f"curl {url}/v1/chat/completions{header} -H \"Content-Type: application/json\" -d '{body}'"


async def _tell_when_ready(services: Services, begun: float) -> None:
    # What was imported stays. Unfrozen, every full collection would walk it while all streams stand still.
    heap.settle(models=any(isinstance(model, VllmModel) for model in services.catalog.models))
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
