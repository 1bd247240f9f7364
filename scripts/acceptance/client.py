"""What checks ask of a running server, over HTTP as its users do."""

import base64
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from scripts.acceptance.setting import Running

PATIENCE = 120.0
"""Seconds for one answer; the first on a GPU may compile kernels."""


class RefusedError(Exception):
    """The server answered with an error; the message is its own."""


class Client:
    """One connection pool to a running server. Raises RefusedError for every answer that is none."""

    def __init__(self, running: Running) -> None:
        self._http = httpx.Client(
            base_url=running.url,
            headers={"Authorization": f"Bearer {running.key}"},
            timeout=PATIENCE,
            trust_env=False,
            limits=httpx.Limits(max_connections=512),
        )

    def close(self) -> None:
        self._http.close()

    def chat(self, model: str, prompt: str, **options: Any) -> str:
        """A greedy answer."""
        answer = self._post("/v1/chat/completions", self._ask(model, prompt, {"temperature": 0, **options}))
        return str(answer.json()["choices"][0]["message"]["content"])

    def tokens(self, model: str, prompt: str, count: int) -> int:
        """Generate exactly so many tokens, whatever they say; how many came."""
        options = {"max_tokens": count, "ignore_eos": True}
        answer = self._post("/v1/chat/completions", self._ask(model, prompt, options))
        return int(answer.json()["usage"]["completion_tokens"])

    @contextmanager
    def stream(self, model: str, prompt: str, **options: Any) -> Generator[Iterator[str], None, None]:
        """The lines of events of a streamed answer. The connection is closed at the end of the block, read or not."""
        ask = self._ask(model, prompt, {"stream": True, **options})
        with self._http.stream("POST", "/v1/chat/completions", json=ask) as answer:
            if answer.is_error:
                answer.read()
                raise RefusedError(f"{answer.status_code}: {answer.text[:300]}")
            yield (line for line in answer.iter_lines() if line.startswith("data: {"))

    def transcribe(self, model: str, audio: bytes, name: str, **fields: str) -> str:
        files = {"file": (name, audio)}
        return str(self._post("/v1/audio/transcriptions", files=files, data={"model": model, **fields}).json()["text"])

    def speak(self, model: str, text: str) -> bytes:
        """As a WAV file."""
        ask = {"model": model, "voice": "alloy", "input": text, "response_format": "wav"}
        return self._post("/v1/audio/speech", ask).content

    def draw(self, model: str, prompt: str, **options: Any) -> bytes:
        """One picture, as a PNG file."""
        ask = {"model": model, "prompt": prompt, "response_format": "b64_json", **options}
        return base64.b64decode(self._post("/v1/images/generations", ask).json()["data"][0]["b64_json"])

    def ready(self) -> tuple[bool, Mapping[str, str]]:
        """What /ready tells: whether, and each model's state."""
        answer = self._http.get("/ready")
        return answer.status_code == httpx.codes.OK, answer.json()["models"]

    def samples(self) -> list[tuple[str, Mapping[str, str], float]]:
        """Every sample of /metrics: name, labels, value."""
        families = text_string_to_metric_families(self._http.get("/metrics").text)
        return [(one.name, one.labels, one.value) for family in families for one in family.samples]

    def running(self, model: str) -> int:
        """Jobs inside the model's engine, by /metrics."""
        found = [v for n, labels, v in self.samples() if n == "sagehold_running_jobs" and labels.get("model") == model]
        return int(sum(found))

    @staticmethod
    def _ask(model: str, prompt: str, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"model": model, "messages": [{"role": "user", "content": prompt}], **options}

    def _post(self, path: str, json: Any = None, **form: Any) -> httpx.Response:
        answer = self._http.post(path, json=json, **form)
        if answer.is_error:
            raise RefusedError(f"{path}: {answer.status_code}: {answer.text[:300]}")
        return answer


@contextmanager
def client(running: Running) -> Generator[Client, None, None]:
    opened = Client(running)
    try:
        yield opened
    finally:
        opened.close()


@dataclass(frozen=True, slots=True)
class Load:
    """`streams` requests at a time, `requests` in all, of so many tokens each."""

    streams: int
    requests: int
    tokens: int


def tokens_a_second(client: Client, model: str, load: Load, seed: str) -> float:
    """Throughput of generation under the load. Prompts differ, by the seed too: no cache knows them.

    Raises RefusedError if a request failed, ValueError if an answer had another number of tokens.
    """
    begun = time.monotonic()
    with ThreadPoolExecutor(load.streams) as pool:
        ask = [
            pool.submit(client.tokens, model, f"{seed} {n}: say something", load.tokens) for n in range(load.requests)
        ]
        counts = [one.result() for one in ask]
    if any(count != load.tokens for count in counts):
        raise ValueError(f"answers of {sorted(set(counts))} tokens, not of {load.tokens} each")
    return sum(counts) / (time.monotonic() - begun)


def fox(root: Path) -> bytes:
    """The sound of the starter transcriber's probe, an Ogg file."""
    return (root / "model_configs/probes/fox.ogg").read_bytes()
