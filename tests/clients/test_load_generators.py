"""Load generators and evaluations, as their authors' documentation calls them: every request answered, text counted."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients.conftest import Client
from tests.e2e.live import CHAT, MODELS

TOKENIZER = MODELS / CHAT
TASKS = Path(__file__).parent / "lm_eval_tasks"
MODEL, ENCODER = "gpt-4o-mini", "text-embedding-3-small"
REQUESTS, PROMPT, OUTPUT = 4, 32, 12

# `vllm bench serve`, without its command: that asks for the metadata of a distribution called vllm, and the build for
# processors has another name.
BENCH = (
    "import argparse; from vllm.benchmarks.serve import add_cli_args, main; "
    "parser = argparse.ArgumentParser(); add_cli_args(parser); main(parser.parse_args())"
)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def bench(client: Client, backend: str, endpoint: str, model: str, *more: str) -> Any:
    """The result file of one run of vLLM's harness."""
    values = {
        "backend": backend,
        "base-url": client.server.url,
        "endpoint": endpoint,
        "model": model,
        "tokenizer": TOKENIZER,
        "dataset-name": "random",
        "random-input-len": PROMPT,
        "random-output-len": OUTPUT,
        "num-prompts": REQUESTS,
        "max-concurrency": 2,
        "result-dir": client.folder,
        "result-filename": "result.json",
    }
    words = [word for name, value in values.items() for word in (f"--{name}", str(value))]
    client.run("python", "-c", BENCH, *words, "--disable-tqdm", "--save-result", "--save-detailed", *more)
    return read(client.folder / "result.json")


@pytest.mark.client("vllm")
@pytest.mark.parametrize(
    ("backend", "endpoint"), [("openai-chat", "/v1/chat/completions"), ("openai", "/v1/completions")]
)
def test_vllm_bench_serve_measures_text(client: Client, backend: str, endpoint: str) -> None:
    result = bench(client, backend, endpoint, MODEL, "--ignore-eos")
    assert (result["completed"], result["failed"]) == (REQUESTS, 0), result["errors"]
    assert result["output_lens"] == [OUTPUT] * REQUESTS
    assert all(text.strip() for text in result["generated_texts"]), result["generated_texts"]
    assert all(first > 0 for first in result["ttfts"]), result["ttfts"]


@pytest.mark.client("vllm")
def test_vllm_bench_serve_measures_embeddings(client: Client) -> None:
    result = bench(client, "openai-embeddings", "/v1/embeddings", ENCODER)
    assert result["completed"] == REQUESTS, result["errors"]
    assert result["total_input_tokens"] > 0


@pytest.mark.client("guidellm")
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_guidellm_counts_every_token(client: Client, path: str) -> None:
    backend = f"target={client.server.url},model={MODEL},api_key={client.server.key},request_format={path}"
    client.run(
        *("guidellm", "run", "--disable-console"),
        *("--backend", f"kind=openai_http,{backend}"),
        *("--tokenizer", f"kind=huggingface_auto,model={TOKENIZER}"),
        *("--data", f"kind=synthetic_text,prompt_tokens={PROMPT},output_tokens={OUTPUT}"),
        *("--profile", "kind=synchronous"),
        *("--constraint", f"kind=max_requests,count={REQUESTS}"),
        *("--output", f"kind=json,path={client.folder / 'result.json'}"),
    )
    (benchmark,) = read(client.folder / "result.json")["benchmarks"]
    metrics = benchmark["metrics"]
    counted = metrics["request_totals"]["successful"]
    # Its own scheduler ends now and then while the last request is still being answered, and leaves that out.
    assert counted in (REQUESTS - 1, REQUESTS)
    assert metrics["request_totals"] == {"successful": counted, "errored": 0, "incomplete": 0, "total": counted}
    assert metrics["output_token_count"]["successful"]["total_sum"] == counted * OUTPUT
    assert metrics["time_to_first_token_ms"]["successful"]["count"] == counted
    assert metrics["time_to_first_token_ms"]["successful"]["min"] > 0


def aiperf(client: Client, model: str, *more: str) -> Any:
    """The summary of one run of AIPerf."""
    client.run(
        *("aiperf", "profile", "-m", model, "--url", client.server.url, "--api-key", client.server.key),
        *("--tokenizer", TOKENIZER, "--ui", "none", "--artifact-dir", client.folder / "result"),
        *("--request-count", str(REQUESTS), "--num-prompts", str(REQUESTS), "--concurrency", "2", "--isl", str(PROMPT)),
        *more,
        # Offline it looks for a tokenizer in the hub's cache alone, and takes no folder.
        HF_HUB_OFFLINE="",
    )
    result = read(client.folder / "result/profile_export_aiperf.json")
    assert result["error_summary"] == []
    assert result["request_count"]["avg"] == REQUESTS
    return result


@pytest.mark.client("aiperf")
@pytest.mark.parametrize("kind", ["chat", "completions"])
def test_aiperf_counts_every_token(client: Client, kind: str) -> None:
    result = aiperf(client, MODEL, "--endpoint-type", kind, "--streaming", "--osl", str(OUTPUT))
    assert result["total_usage_completion_tokens"]["avg"] == REQUESTS * OUTPUT
    assert result["time_to_first_token"]["count"] == REQUESTS
    assert result["time_to_first_token"]["min"] > 0


@pytest.mark.client("aiperf")
def test_aiperf_measures_embeddings(client: Client) -> None:
    assert aiperf(client, ENCODER, "--endpoint-type", "embeddings")["request_latency"]["count"] == REQUESTS


@pytest.mark.client("inference-perf")
@pytest.mark.parametrize("kind", ["chat", "completion"])
def test_inference_perf_counts_every_token(client: Client, kind: str) -> None:
    prompts = {"num_groups": 1, "num_prompts_per_group": REQUESTS, "system_prompt_len": 16, "question_len": 16}
    server = {"type": "vllm", "model_name": MODEL, "base_url": client.server.url, "api_key": client.server.key}
    config = {
        "api": {"type": kind, "streaming": True},
        "data": {"type": "shared_prefix", "shared_prefix": prompts | {"output_len": OUTPUT, "seed": 0}},
        "load": {
            "type": "concurrent",
            "stages": [{"num_requests": REQUESTS, "concurrency_level": 2}],
            "num_workers": 1,
        },
        "server": server | {"ignore_eos": True},
        "tokenizer": {"pretrained_model_name_or_path": str(TOKENIZER)},
        "storage": {"local_storage": {"path": str(client.folder / "result")}},
    }
    (client.folder / "config.yaml").write_text(yaml.safe_dump(config))
    client.run("inference-perf", "--config_file", client.folder / "config.yaml")
    result = read(client.folder / "result/summary_lifecycle_metrics.json")
    assert (result["successes"]["count"], result["failures"]["count"]) == (REQUESTS, 0), result["failures"]
    assert result["successes"]["output_tokens"]["total"] == REQUESTS * OUTPUT
    assert result["successes"]["latency"]["time_to_first_token"]["min"] > 0


def lm_eval(client: Client, model: str, arguments: str, tasks: str, *more: str) -> tuple[Any, list[Any]]:
    """The results of one evaluation, and its samples."""
    client.run(
        *("lm_eval", "run", "--model", model, "--model_args", f"model={MODEL},num_concurrent=2,{arguments}"),
        *("--tasks", tasks, "--include_path", TASKS, "--output_path", client.folder / "result", "--log_samples"),
        *more,
        folder=TASKS,
    )
    (results,) = client.folder.glob("result/*/results_*.json")
    samples = client.folder.glob("result/*/samples_*.jsonl")
    return read(results)["results"], [json.loads(line) for file in samples for line in file.read_text().splitlines()]


@pytest.mark.client("lm-eval")
@pytest.mark.parametrize("tokens", [True, False])
def test_lm_eval_scores_echoed_prompts(client: Client, tokens: bool) -> None:
    """Prompts as token ids and as text, told by the tokenizer's own count where the context ends."""
    arguments = f"base_url={client.server.url}/v1/completions,tokenizer_backend=huggingface,tokenizer={TOKENIZER}"
    results, samples = lm_eval(client, "local-completions", f"{arguments},tokenized_requests={tokens}", "pairs")
    assert results["pairs"]["acc,none"] == 1.0
    scores = [float(score) for sample in samples for ((score, _),) in sample["resps"]]
    assert len(scores) == 9
    assert all(math.isfinite(score) and score < 0 for score in scores), scores


@pytest.mark.client("lm-eval")
def test_lm_eval_generates_completions(client: Client) -> None:
    arguments = f"base_url={client.server.url}/v1/completions,tokenizer_backend=huggingface,tokenizer={TOKENIZER}"
    results, samples = lm_eval(client, "local-completions", arguments, "ends")
    assert results["ends"]["contains,none"] == 1.0, samples


@pytest.mark.client("lm-eval")
def test_lm_eval_generates_chat_answers(client: Client) -> None:
    arguments = f"base_url={client.server.url}/v1/chat/completions"
    results, samples = lm_eval(client, "local-chat-completions", arguments, "answers", "--apply_chat_template")
    assert results["answers"]["contains,none"] == 1.0, samples
