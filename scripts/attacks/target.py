"""A server to attack: `sagehold serve` in a process of its own, over fake engines or starter models, on loopback."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

REPOSITORY = Path(__file__).parents[2]
FAKE = """
name: {task}
engine: fake
serves: {task}
price: {{prompt_token: 0.1, completion_token: 1, audio_second: 1, character: 1, image: 1}}
"""
TASKS = ("chat", "completion", "speech", "transcription", "image", "embedding")
START = 180.0
"""Seconds that a start may take."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server that answers. key: of the administrator, without meter. log: what it writes to standard error."""

    url: str
    key: str
    process: subprocess.Popen[str]
    folder: Path
    log: Path

    def client(self, key: str | None = None, **options: object) -> httpx.AsyncClient:
        """key: the administrator's if it is None, none at all if it is empty."""
        sent = self.key if key is None else key
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=120, **options)  # type: ignore[arg-type]


def fake_models(folder: Path, more: Mapping[str, str] | None = None) -> Path:
    """A folder of configs with a fake model for each of TASKS. more: further files by name, in YAML."""
    configs = folder / "configs"
    configs.mkdir(parents=True, exist_ok=True)
    files = {task: FAKE.format(task=task) for task in TASKS} | dict(more or {})
    for name, text in files.items():
        (configs / f"{name}.yaml").write_text(text)
    return configs


@contextmanager
def served(
    folder: Path,
    *,
    configs: Path | None = None,
    settings: Mapping[str, str] | None = None,
    ready: bool = True,
    module: str = "server",
) -> Iterator[Target]:
    """A server with its data in `folder`, killed at the end if it still runs.

    configs: see `fake_models`; None for the repository's own models. settings: variables without their prefix, such as
    `{"MAX_BODY": "1000"}`. ready: whether to wait until the models can answer; it is not waited for otherwise.
    module: whose `main` the server is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGEHOLD_")}
    chosen = {
        "DATA_DIR": str(folder / "data"),
        "MODEL_CONFIGS": str(configs or REPOSITORY / "model_configs"),
        "PORT": "0",
        **(settings or {}),
    }
    log = folder / "log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "serve"],
            cwd=REPOSITORY,
            env=kept | {f"SAGEHOLD_{name}": value for name, value in chosen.items()},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        url, key = _announced(process, log)
        if ready:
            _wait(url, process, log)
        yield Target(url, key, process, folder, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        process.communicate()


def _announced(process: "subprocess.Popen[str]", log: Path) -> tuple[str, str]:
    """The address and the first key (empty if there is none), as the server prints them."""
    assert process.stdout is not None
    url = key = ""
    for line in process.stdout:
        if found := re.search(r"listens on (\S+)", line):
            url = found[1]
        if found := re.search(r"API key, shown only this once: (\S+)", line):
            key = found[1]
        if line.startswith("Try it:"):
            return url, key
    raise RuntimeError(f"the server did not start:\n{log.read_text()[-2000:]}")


def _wait(url: str, process: "subprocess.Popen[str]", log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        if httpx.get(f"{url}/ready").status_code == 200:
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server did not get ready:\n{log.read_text()[-2000:]}")
