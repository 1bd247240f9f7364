"""Why vLLM's core or a worker ended while a model was loaded.

They are processes of their own, and the front end learns only that one has failed (vllm/v1/engine/utils.py,
wait_for_engine_startup: "See root cause above"). What they do is log the exception (vllm/v1/engine/core.py,
run_engine_core; vllm/v1/executor/multiproc_executor.py, worker_main), by a logging configuration that travels with
the engine's and is applied in each, however they are started. So that gets one more handler, which notes the
exception's line in a file of this load.
"""

import copy
import json
import logging
import re
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from server.engines import cause

HANDLER = "sagehold_root_cause"
TELLERS = ("vllm.v1.engine.core", "vllm.v1.executor.multiproc_executor")
"""The loggers of the two places where a process of vLLM's dies of an exception."""
SIGNALLED = re.compile(r"proc\(s\): \{'\w+': -(\d+)")
"""What vLLM's error says of a core that a signal ended: `Failed core proc(s): {'EngineCore': -9}`.

Read from its words, for want of anything else: it is a bare RuntimeError, and as it comes, vLLM ends its other
processes too, so that exit codes no longer show which one was first (vllm/v1/engine/utils.py,
wait_for_engine_startup). With other words the reason would be less plain, and that is all: people read it, and nothing
is decided by it.
"""

OURS = (
    ("the argument `trust_remote_code=True`", "`extra: {trust_remote_code: true}`"),
    ("`gpu_memory_utilization` (which also controls CPU memory on the CPU backend)", "`kv_cache`"),
)
"""Advice of vLLM's and transformers' for their own arguments, and what to write in a model's config instead."""


class RootCause:
    """The first exception that any process of one load died of."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def watch(self, config: Any) -> None:
        """Let the processes that vLLM will start for this VllmConfig note what they die of."""
        asked = config.logging_config
        if asked is None or not asked.configure_logging:
            return  # by VLLM_CONFIGURE_LOGGING=0: somebody else's logging is not ours to change
        described = self._file.with_suffix(".logging")
        described.write_text(json.dumps(_with_handler(asked, self._file)), encoding="utf-8")
        config.logging_config = replace(asked, pylogging_config_file=str(described))

    def reason(self, error: Exception, *places: Path) -> str:
        """Why the load failed that ended with `error` in the front end, in one line. places: see `cause.described`."""
        try:
            noted = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            noted = ""
        if noted:
            # A worker notes its own before the core notes that the worker failed.
            return _ours(cause.cleaned(json.loads(noted.partition("\n")[0]), places))
        if found := SIGNALLED.search(str(error)):
            return f"its process was ended by {signal.Signals(int(found[1])).name}"
        return _ours(cause.described(error, *places))


@contextmanager
def root_cause() -> Iterator[RootCause]:
    with tempfile.TemporaryDirectory(prefix="sagehold-load-") as folder:
        yield RootCause(Path(folder) / "cause")


class NotingHandler(logging.Handler):
    """Appends the exception of a record, as one JSON string on a line of its own."""

    def __init__(self, file: str) -> None:
        super().__init__(logging.ERROR)
        self._to = Path(file)
        self.addFilter(lambda record: record.name in TELLERS and bool(record.exc_info))

    def emit(self, record: logging.LogRecord) -> None:
        assert record.exc_info is not None
        error = record.exc_info[1]
        if error is None or not self._to.parent.is_dir():
            return  # the load is long over: the folder has gone with it
        with self._to.open("a", encoding="utf-8") as file:
            file.write(json.dumps(cause.described(error)) + "\n")


def _ours(line: str) -> str:
    for theirs, ours in OURS:
        line = line.replace(theirs, ours)
    return line


def _with_handler(asked: Any, file: Path) -> dict[str, Any]:
    """The logging that vLLM would configure, as a dictConfig, and our handler."""
    from vllm import envs
    from vllm.logger import DEFAULT_LOGGING_CONFIG

    if asked.pylogging_config_file:
        described: dict[str, Any] = json.loads(Path(asked.pylogging_config_file).read_text(encoding="utf-8"))
    else:
        described = copy.deepcopy(DEFAULT_LOGGING_CONFIG)
        described["handlers"]["vllm"] |= {"level": asked.log_level, "stream": envs.VLLM_LOGGING_STREAM}
        described["loggers"]["vllm"]["level"] = asked.log_level
        for formatter in described["formatters"].values():
            formatter["log_level"] = asked.log_level
    described.setdefault("handlers", {})[HANDLER] = {"()": f"{__name__}.NotingHandler", "file": str(file)}
    for name in TELLERS:
        # At these two loggers and not above them: theirs may not propagate, or be asked for less than errors.
        logger = described.setdefault("loggers", {}).setdefault(name, {})
        logger["handlers"] = [*logger.get("handlers", ()), HANDLER]
    return described
