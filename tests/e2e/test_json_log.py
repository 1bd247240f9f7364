"""With `log_format: json` every line that any process of a real server writes is JSON, to the last words of a crash."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import installed
from tests.e2e.live import CHAT, START, VOICE, LiveServer, until


def read(file: Path) -> list[dict[str, Any]]:
    """Fails at the first line that is no JSON object."""
    lines = []
    for text in file.read_text().splitlines():
        line = json.loads(text)
        assert {"time", "level", "logger", "request_id", "message"} <= line.keys(), text
        lines.append(line)
    return lines


@pytest.mark.timeout(START + 120)
def test_every_line_of_every_process_is_json(tmp_path: Path) -> None:
    installed()
    live = LiveServer(tmp_path, settings={"log_format": "json", "models": f"{CHAT},{VOICE}"})
    stdout = tmp_path / "stdout"
    try:
        found = until(
            lambda: re.search(r'"url":"([^"]+)","first_key":"([^"]+)"', stdout.read_text()), "url", within=START
        )
        assert found is not None
        live.url, live.key = found[1], found[2]
        live.wait_ready(fresh=True)
        with httpx.Client(base_url=live.url, headers={"Authorization": f"Bearer {live.key}"}, timeout=60) as http:
            body = {"model": CHAT, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
            assert http.post("/v1/chat/completions", json=body).status_code == 200
            exposition = http.get("/metrics").text
        assert (
            f'vllm:request_success_total{{engine="0",finished_reason="length",model_name="{CHAT}"}} 1.0' in exposition
        )
        os.kill(live.core().pid, signal.SIGSEGV)
        until(lambda: "Segfault" in live.log, "the core's last words", within=20)
    finally:
        live.stop()
    lines = read(live.log_path)
    assert [line["message"].split()[0] for line in read(stdout)] == ["listening", "ready"]
    assert {line["process"] for line in lines if line["logger"] == "output"} >= {"vllm"}
    assert live.key not in live.log
    assert lines[-1]["message"] == "stopped" or "process" in lines[-1]
