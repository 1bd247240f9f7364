"""`scripts/bench chat`, run as it is: this server and vLLM's own, with the same engine arguments."""

import json
import os
import subprocess
import sys
from pathlib import Path

from scripts.acceptance.check import Findings, Skip
from scripts.acceptance.runner import ROOT
from scripts.acceptance.setting import Setting
from scripts.acceptance.stands import CHAT, DUMMY_CHAT, dummy_chat_configs

LEAST = 0.95
BESIDE = 0.4
"""Share of the GPU for each of the two servers, which are up together."""


def check(setting: Setting, findings: Findings) -> None:
    figures = setting.work / "throughput.json"
    figures.unlink(missing_ok=True)
    command = [sys.executable, "-m", "scripts.benchmarks", "chat", "--output", str(figures), "--patience", "0"]
    if setting.gpu:
        folder = setting.work / "throughput"
        configs = dummy_chat_configs(setting, folder, gpu_memory_utilization=BESIDE)
        command += ["--model", DUMMY_CHAT, "--model-configs", str(configs), "--models-dir", str(folder)]
        command += ["--streams", "1,16,64,256", "--rounds", "2", "--per-stream", "2"]
    elif (setting.models_dir / CHAT).is_dir():
        command += ["--model", CHAT, "--models-dir", str(setting.models_dir)]
        command += ["--streams", "4", "--quick"] if setting.quick else ["--streams", "1,16,64", "--rounds", "3"]
    else:
        raise Skip(f"{CHAT} is not installed, and a processor is too slow for a dummy of full size")
    environment = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, check=False)
    sys.stdout.write(done.stdout + done.stderr)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise RuntimeError(f"scripts/bench ended with {done.returncode}: {' | '.join(said[-4:])[:500]}")
    # On a processor that others share, one short round decides nothing.
    tell(figures, findings, LEAST if setting.gpu else None)


def tell(figures: Path, findings: Findings, least: float | None) -> None:
    """The medians and their ratio, for each number of streams."""
    for row in json.loads(figures.read_text())["summary"]:
        streams = f"{row['streams']} stream{'s' if row['streams'] > 1 else ''}"
        findings.tell(f"{streams}: {row['side']}", row["throughput"]["median"], "tok/s")
        if "throughput_ratio" in row:
            findings.tell(f"{streams}: ratio", row["throughput_ratio"]["median"], least=least)
            findings.tell(f"{streams}: first token, ratio", row["ttft_ratio"]["median"])
