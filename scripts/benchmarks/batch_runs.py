"""The same file of requests by `sagehold batch run` and by `vllm run-batch`."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmarks.processes import Side
from scripts.benchmarks.sides import REPOSITORY, engine_arguments, flags, side_environment
from server.engines.vllm import environment as vllm_environment
from server.models.config.spec import VllmModel

LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Run:
    """seconds: of the work, from when the model was there. whole: of the command. prompt, completion: tokens."""

    side: str
    seconds: float
    whole: float
    prompt: int
    completion: int

    @property
    def throughput(self) -> float:
        """Tokens of answers a second, without the time that a model takes to load."""
        return self.completion / self.seconds


def requests_file(file: Path, model: str, lines: int, prompt: int, answer: int, texts: Sequence[str]) -> None:
    """So many chats, each about another stretch of the texts' words; what they ask for is as long as it may be."""
    with file.open("w") as stream:
        for number in range(lines):
            begin = number * 37 % (len(texts) - prompt)
            content = f"{number}: {' '.join(texts[begin : begin + prompt])}"
            body = {
                "model": model,
                "messages": [{"role": "user", "content": content}],
                "max_tokens": answer,
                "temperature": 0,
                "ignore_eos": True,
            }
            line = {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            stream.write(json.dumps(line) + "\n")


def ours(spec: VllmModel, models_dir: Path, data: Path) -> Side:
    command = [sys.executable, "-m", "server", "batch", "run", "{input}", "-o", "{output}"]
    command += ["--models-dir", str(models_dir), "--model-configs", str(REPOSITORY / "model_configs")]
    return Side("sagehold", tuple(command), side_environment({"SAGEHOLD_DATA_DIR": str(data)}), "", spec.name)


def theirs(spec: VllmModel, models_dir: Path, name: str = "vLLM", environment: Mapping[str, str] | None = None) -> Side:
    """vLLM's own, with the arguments that our engine gives to it, but for our scheduler."""
    # `vllm run-batch` itself asks for the version of a package "vllm", which a processor's build is not.
    command = [sys.executable, "-m", "scripts.benchmarks.batch_theirs", "-i", "{input}", "-o", "{output}"]
    command += flags(engine_arguments(spec, models_dir))
    if spec.chat_template:
        command += ["--chat-template", spec.chat_template]
    variables = dict(side_environment(environment))
    vllm_environment.prepare(variables)
    return Side(name, tuple(command), variables, "", spec.name)


def run(side: Side, requests: Path, folder: Path) -> Run:
    """Raises ValueError if a line has no answer."""
    output = folder / f"{side.name.replace(' ', '-').replace(',', '')}.out.jsonl"
    output.unlink(missing_ok=True)
    words = [word.replace("{input}", str(requests)).replace("{output}", str(output)) for word in side.command]
    log = output.with_suffix(".log")
    begun = time.monotonic()
    with log.open("w") as said:
        code = subprocess.run(
            words, env=dict(side.environment), stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            timeout=LONGEST, check=False, cwd=REPOSITORY,
        ).returncode  # fmt: skip
    whole = time.monotonic() - begun
    found = log.read_text(errors="replace")
    seconds = re.findall(r"requests in ([\d.]+) s,", found)
    if code or not seconds:
        raise ValueError(f"{side.name} ended with {code}:\n" + "\n".join(found.splitlines()[-15:]))
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    asked = len(requests.read_text().splitlines())
    good = [one["response"]["body"]["usage"] for one in answers if (one["response"] or {}).get("status_code") == 200]
    if len(good) != asked:
        raise ValueError(f"{side.name} answered {len(good)} of {asked} lines:\n{answers[:1]}"[:2000])
    read, written = (sum(one[name] for one in good) for name in ("prompt_tokens", "completion_tokens"))
    return Run(side.name, float(seconds[-1]), whole, read, written)
