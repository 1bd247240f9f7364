"""What vLLM's core and workers die of while a model is loaded reaches the front end: by vLLM's own logging."""

import json
import logging
import logging.config
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from server.engines.vllm.root_cause import HANDLER, TELLERS, NotingHandler, root_cause

VAGUE = RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}")

# What vllm/v1/engine/core.py and vllm/v1/executor/multiproc_executor.py do in their processes, in that order.
DIES = """
import logging
from vllm.logger import configure_logging, init_logger
from vllm.config.logging import LoggingConfig
configure_logging(LoggingConfig(pylogging_config_file={file!r}))
init_logger("vllm.model_executor.models").error("an error that ends nothing")
for name, error in (
    ("vllm.v1.executor.multiproc_executor", ValueError("no kernel for int3 in /srv/secret/kernels.so")),
    ("vllm.v1.engine.core", RuntimeError("WorkerProc initialization failed due to an exception")),
):
    try:
        raise error
    except Exception:
        init_logger(name).exception("failed to start.")
"""


@dataclass
class Config:
    """The part of a VllmConfig that is looked at."""

    logging_config: Any = None
    others: list[str] = field(default_factory=list)


def test_the_first_exception_of_any_process_is_the_reason() -> None:
    from vllm.config.logging import LoggingConfig

    config = Config(LoggingConfig(log_level="ERROR"))
    with root_cause() as root:
        root.watch(config)
        file = config.logging_config.pylogging_config_file
        done = subprocess.run(
            [sys.executable, "-c", DIES.format(file=file)], capture_output=True, text=True, check=True, timeout=100
        )
        assert root.reason(VAGUE) == "ValueError: no kernel for int3 in kernels.so"
    said = done.stdout + done.stderr
    assert "an error that ends nothing" in said  # vLLM's own log is as before
    assert "Traceback" in said


def test_an_operators_own_logging_is_kept(tmp_path: Path) -> None:
    from vllm.config.logging import LoggingConfig

    own = {"version": 1, "loggers": {"vllm": {"level": "WARNING"}, "vllm.v1.engine.core": {"handlers": []}}}
    (tmp_path / "own.json").write_text(json.dumps(own))
    config = Config(LoggingConfig(pylogging_config_file=str(tmp_path / "own.json")))
    with root_cause() as root:
        root.watch(config)
        described = json.loads(Path(config.logging_config.pylogging_config_file).read_text())
    assert described["loggers"]["vllm"] == {"level": "WARNING"}
    off = replace(config.logging_config, configure_logging=False)
    config = Config(off)
    with root_cause() as root:
        root.watch(config)
    assert config.logging_config is off


def test_without_a_note_the_front_ends_own_words_are_the_reason() -> None:
    with root_cause() as root:
        assert root.reason(TypeError("no such thing: /a/b/c.json")) == "TypeError: no such thing: c.json"
        killed = RuntimeError("Engine core initialization failed. Failed core proc(s): {'EngineCore': -9}")
        assert root.reason(killed) == "its process was ended by SIGKILL"


def test_a_process_that_outlives_the_load_notes_nothing() -> None:
    from vllm.config.logging import LoggingConfig

    config = Config(LoggingConfig())
    with root_cause() as root:
        root.watch(config)
        described = json.loads(Path(config.logging_config.pylogging_config_file).read_text())
        file = described["handlers"][HANDLER]["file"]
        handler = NotingHandler(file)
    record = logging.LogRecord(TELLERS[0], logging.ERROR, "", 1, "died", None, (OSError, OSError("x"), None))
    handler.handle(record)
    assert not Path(file).exists()
