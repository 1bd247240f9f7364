"""The child of a `WorkerEngine`: loads one model, works on jobs in a few threads, and ends with its parent.

`engine.py` has the protocol between the two.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from server.core import Job
from server.engines import cause
from server.engines.base import Handler
from server.engines.parent import die_with_parent
from server.engines.worker import frames
from server.errors import EngineFailed, ModelUnavailable, SageholdError
from server.offline import go_offline

log = logging.getLogger(__name__)


class _Child:
    """The child's loop: the main thread reads messages, a small pool works on jobs."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._name = name
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()
        self._open: set[int] = set()

    def serve(self) -> None:
        """Load, then work until the parent closes the socket."""
        _, factory, options, concurrency = frames.receive_blocking(self._connection)
        try:
            handler = self._load(factory, options)
        except SageholdError as error:
            self._send(("failed", error))
            return
        except Exception as error:
            log.exception("%s could not be loaded", self._name)
            places = [Path(options["path"])] if isinstance(options.get("path"), str) else []
            reason = cause.told(error, *places)
            self._send(("failed", ModelUnavailable(f"The model could not be loaded: {reason}")))
            return
        self._send(("ready",))
        pool = ThreadPoolExecutor(concurrency, thread_name_prefix="job")
        while True:
            match frames.receive_blocking(self._connection):
                case ("job", number, job):
                    with self._lock:
                        self._open.add(number)
                    pool.submit(self._work, handler, number, job)
                case ("cancel", number):
                    with self._lock:
                        if number in self._open:
                            self._cancelled.add(number)

    def _load(self, factory: str, options: Mapping[str, Any]) -> Handler:
        module, _, function = factory.partition(":")
        handler: Handler = getattr(import_module(module), function)(options)
        return handler

    def _work(self, handler: Handler, number: int, job: Job) -> None:
        ending: tuple[Any, ...] = ("end", number)
        try:
            if number not in self._cancelled:
                events = handler.handle(job)
                for event in events:
                    if number in self._cancelled:
                        # A generator's close runs its clean-up now rather than whenever it is collected.
                        getattr(events, "close", lambda: None)()
                        break
                    if event is not None:
                        self._send(("event", number, event))
        except SageholdError as error:
            ending = ("error", number, error)
        except Exception:
            log.exception("%s failed on a job", self._name)
            ending = ("error", number, EngineFailed())
        finally:
            with self._lock:
                self._open.discard(number)
                self._cancelled.discard(number)
            self._send(ending)

    def _send(self, message: tuple[Any, ...]) -> None:
        data = frames.encode(message)
        with self._lock:
            self._connection.sendall(data)


def main() -> None:
    """Entry point of the child: `python -m server.engines.worker.child FD NAME PARENT`."""
    die_with_parent(int(sys.argv[3]))
    go_offline()
    name = sys.argv[2]
    logging.basicConfig(level=logging.INFO, format=f"%(levelname)s {name}: %(message)s", stream=sys.stderr)
    with socket.socket(fileno=int(sys.argv[1])) as connection, contextlib.suppress(EOFError, ConnectionError):
        _Child(connection, name).serve()
    # Threads may still be inside a long native call; nothing of theirs is worth waiting for.
    os._exit(0)


if __name__ == "__main__":
    main()
