"""`sagehold serve` as a process: what it prints, that it answers, that it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    configs = folder / "configs"
    configs.mkdir(exist_ok=True)
    (configs / "chat.yaml").write_text("name: fake-chat\nengine: fake\nserves: chat\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAGEHOLD_")}
    command = [sys.executable, "-m", "server", "serve", "--port", "0", "--model-configs", str(configs)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data"), *flags],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def printed(process: subprocess.Popen[str]) -> str:
    """Standard output up to the line that says the server is ready."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("ready"):
            return text
    pytest.fail(f"it ended before it was ready: {text}")


def test_it_prints_a_key_and_a_line_to_paste_answers_and_ends_on_sigterm(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        text = printed(process)
        [url] = re.findall(r"listens on (http://127\.0\.0\.1:\d+) ", text)
        [key] = set(re.findall(r"sk-sage-[\w-]{40,}", text))
        assert f'curl {url}/v1/chat/completions -H "Authorization: Bearer {key}"' in text
        answer = httpx.get(f"{url}/v1/models", headers={"Authorization": f"Bearer {key}"}, timeout=60)
        assert [model["id"] for model in answer.json()["data"]] == ["fake-chat"]
        assert httpx.get(f"{url}/v1/models", timeout=60).status_code == 401
        assert httpx.get(f"{url}/ready", timeout=60).json() == {"status": "ready", "models": {"fake-chat": "ready"}}
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    log = (tmp_path / "log").read_text()
    assert "stopped" in log
    assert key not in log
    assert "Traceback" not in log

    with serving(tmp_path) as process:  # the second start has a key already, and shows none
        text = printed(process)
        assert "sk-sage-" not in text
        assert 'Bearer $OPENAI_API_KEY"' in text
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_a_wrong_model_config_ends_it_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "wrong.yaml").write_text("name: x\nengine: fake\nserves: cooking\n")
    with serving(tmp_path) as process:
        assert process.wait(30) == 2
    log = (tmp_path / "log").read_text()
    assert "wrong.yaml:3" in log
    assert "Traceback" not in log
