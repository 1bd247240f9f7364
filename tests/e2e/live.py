"""A real server in a process of its own, as a user starts it; watched from outside, by HTTP and the process table."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import httpx
import psutil
import yaml
from openai import OpenAI
from prometheus_client.parser import text_string_to_metric_families

from server.engines.vllm.processes import NAME
from server.settings import Settings

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
MODELS = Settings().models_dir.resolve()
CHAT, VOICE, EAR = "smollm2-135m-instruct", "piper-en-us-joe", "whisper-tiny-en"
"""The starter models by their own names."""

SLASHED = "acme/chat"
"""A public name of the chat model."""

START = 240.0
"""Seconds until every model answers; a busy machine of two cores has been seen to need ninety."""
STOP = 30.0
"""Seconds from SIGTERM to the last process."""


def until(condition: Callable[[], T], what: str, *, within: float, every: float = 0.02) -> T:
    """What `condition` returns once that is true. Fails with `what` when it isn't `within` seconds."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(every)
    return value


class LiveServer:
    """`sagehold serve` on a free port, with an empty home and a data folder of its own."""

    def __init__(
        self,
        folder: Path,
        *,
        before: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        change: Callable[[Path], None] | None = None,
    ) -> None:
        """Start it. before: a command that starts it in its turn, by exec. settings: more SAGEHOLD_*.

        change: what is done to the folder of its model configs before.
        """
        self.folder = folder
        self.log_path = folder / "log"
        self._said = folder / "stdout"
        (folder / "home").mkdir()
        command = [*before, str(Path(sys.executable).parent / "sagehold"), "serve", "--port", "0"]
        command += ["--data-dir", str(folder / "data"), "--models-dir", str(MODELS)]
        configs = _configs(folder / "configs")
        if change is not None:
            change(configs)
        command += ["--model-configs", str(configs)]
        # Nothing else of this environment: keys, proxies and settings of whoever runs the tests stay out.
        environment = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environment |= {"HOME": str(folder / "home"), "LANG": "C.UTF-8"}
        self._environment = environment | {
            f"SAGEHOLD_{name.upper()}": value for name, value in (settings or {}).items()
        }
        with self._said.open("wb") as said, self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self.process.pid
        self.url = self.key = ""

    # ------------------------------------------------------------ life

    def wait_announced(self) -> None:
        """Until it has printed its address and its first key."""

        def announced() -> re.Match[str] | None:
            self._assert_running()
            return re.search(r"listens on (\S+) [^$]*API key[^:]*: (sk-sage-\S+)", self.said) or re.search(
                r'"url":"([^"]+)","first_key":"([^"]+)"', self.said
            )

        found = until(announced, "the server tells its address", within=START)
        assert found is not None
        self.url, self.key = found[1], found[2]

    def wait_ready(self, *, fresh: bool = False, within: float = START) -> None:
        """Until every model that is loaded at start can answer. fresh: no model may have failed so far."""

        def ready() -> bool:
            self._assert_running()
            answer = httpx.get(f"{self.url}/ready", timeout=30)
            assert answer.status_code in (200, 503), f"{answer.text}\n{self.log[-4000:]}"
            failed = fresh and "failed" in answer.json()["models"].values()
            assert not failed, f"a model could not be loaded: {answer.text}\n{self.log[-4000:]}"
            return answer.status_code == 200

        until(ready, "every model can answer", within=within, every=0.2)

    def _assert_running(self) -> None:
        code = self.process.poll()
        assert code is None, f"the server ended with {code}:\n{self.said}\n{self.log[-4000:]}"

    def stop(self) -> None:
        """Ask it to end, and hold it to its promises: exit code 0 and no process left."""
        tree = self.processes()
        try:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(STOP)
            assert code == 0, f"the server ended with {code}:\n{self.log[-4000:]}"
            until(lambda: not [one for one in tree if lives(one)], f"every process ends: {tree}", within=10)
        finally:
            for one in tree:
                if lives(one):
                    one.kill()
            self.process.wait()

    def command(self, *arguments: str) -> str:
        """What `sagehold …` prints on this server's data folder, as its operator calls it. Fails where it does."""
        command = [str(Path(sys.executable).parent / "sagehold"), *arguments]
        environment = self._environment | {"SAGEHOLD_DATA_DIR": str(self.folder / "data")}
        ended = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    # ------------------------------------------------------------ watching

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def lines(self, word: str) -> list[str]:
        """The log's lines with `word` in them."""
        return [line for line in self.log.splitlines() if word in line]

    def client(self, **options: object) -> OpenAI:
        """The SDK as a user makes it, but for retries: what fails shall be seen."""
        chosen: dict[str, object] = {
            "base_url": f"{self.url}/v1",
            "api_key": self.key,
            "max_retries": 0,
            "timeout": 100,
        }
        return OpenAI(**(chosen | options))  # type: ignore[arg-type]

    def running(self, model: str) -> int:
        """Jobs inside the model's engine, as /metrics tells."""
        return int(self.metric("sagehold_running_jobs", model))

    def metric(self, name: str, model: str) -> float:
        """A sample of /metrics, 0 where there is none."""
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels["model"] == model:
                    return sample.value
        return 0.0

    # ------------------------------------------------------------ processes

    def processes(self) -> list[psutil.Process]:
        """Everything that the server started, and itself: its descendants, and orphans of its process group."""
        found = {self.pid: psutil.Process(self.pid)}
        found |= {child.pid: child for child in found[self.pid].children(recursive=True)}
        for one in psutil.process_iter():
            try:
                if os.getpgid(one.pid) == self.pid:
                    found.setdefault(one.pid, one)
            except (ProcessLookupError, PermissionError):
                continue
        return list(found.values())

    def worker(self, model: str) -> psutil.Process:
        """The worker process of a model that is not vLLM's."""
        return self._child(psutil.Process(self.pid), lambda command: "server.engines.worker.child" in command, model)

    def fork_servers(self) -> list[psutil.Process]:
        """The process from which vLLM's are forked, once it is there."""
        return [child for child in psutil.Process(self.pid).children() if child.name() == NAME and lives(child)]

    def fork_server(self) -> psutil.Process:
        """The one that must be there."""
        found = self.fork_servers()
        assert len(found) == 1, f"fork servers: {found}"
        return found[0]

    def core(self) -> psutil.Process:
        """vLLM's engine core."""
        return self._child(self.fork_server())

    def core_worker(self) -> psutil.Process:
        """The process that computes for vLLM's core."""
        return self._child(self.core())

    def _child(
        self, parent: psutil.Process, wanted: Callable[[str], bool] = lambda command: True, name: str = ""
    ) -> psutil.Process:
        found = []
        for child in parent.children():
            command = " ".join(child.cmdline())
            if wanted(command) and name in command and lives(child):
                found.append(child)
        assert len(found) == 1, f"children of {parent} named {name!r}: {found}"
        return found[0]


def _configs(folder: Path) -> Path:
    """The starter configs, and one more name for the chat model, with a slash in it."""
    shutil.copytree(ROOT / "model_configs", folder)
    # The voice varies at random, and now and then Whisper hears "jumped" for "jumps": here it always speaks the same.
    with (folder / "piper-en-us-joe.yaml").open("a") as voice:
        voice.write("noise_scale: 0\nnoise_w: 0\n")
    bundle = {"bundle": "slashed", "tasks": {"chat": CHAT}, "names": [{"id": SLASHED}]}
    (folder / "slashed.yaml").write_text(yaml.safe_dump(bundle))
    return folder


def lives(process: psutil.Process) -> bool:
    """Whether it runs: what has ended and waits to be collected does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def kill(process: psutil.Process) -> None:
    """kill -9, and wait until it is gone."""
    process.kill()
    until(lambda: not lives(process), f"{process} ends", within=10)
