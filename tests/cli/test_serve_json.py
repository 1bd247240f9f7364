"""`sagehold serve` with JSON log lines: its announcement, its log and its complaints are all objects, a line each."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


def serve(folder: Path, **settings: str) -> "subprocess.Popen[str]":
    (folder / "configs").mkdir()
    (folder / "configs/fake.yaml").write_text("name: fake\nengine: fake\nserves: chat\n")
    chosen = {"LOG_FORMAT": "json", "PORT": "0", "MODEL_CONFIGS": str(folder / "configs"), **settings}
    return subprocess.Popen(
        [sys.executable, "-m", "server", "serve", "--data-dir", str(folder / "data")],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | {f"SAGEHOLD_{name}": value for name, value in chosen.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_server_writes_nothing_but_json(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        assert server.stdout is not None
        first, second = json.loads(server.stdout.readline()), json.loads(server.stdout.readline())
        assert first["message"] == f"listening on {first['url']}"
        assert httpx.get(first["pages"], timeout=60).headers["content-type"].startswith("text/html")
        assert (second["message"], second["level"]) == (f"ready after {second['seconds']} s", "info")
        answer = httpx.get(
            f"{first['url']}/v1/models", headers={"Authorization": f"Bearer {first['first_key']}"}, timeout=60
        )
        assert answer.status_code == 200
        assert httpx.get(f"{first['url']}/v1/models", timeout=60).status_code == 401
        server.send_signal(signal.SIGTERM)
        rest, log = server.communicate(timeout=60)
    assert (server.returncode, rest) == (0, "")
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["code"] for line in lines if line.get("status") == 401] == ["invalid_request_error"]
    assert lines[-1]["message"] == "stopped"
    assert first["first_key"] not in log


def test_what_is_wrong_with_the_settings_is_a_line_too(tmp_path: Path) -> None:
    with serve(tmp_path, QUEUE_TIMEOUT="soon") as server:
        said, log = server.communicate(timeout=60)
    assert (server.returncode, said) == (2, "")
    [line] = [json.loads(line) for line in log.splitlines()]
    assert line["level"] == "error"
    assert line["message"].startswith("sagehold: SAGEHOLD_QUEUE_TIMEOUT: ")
