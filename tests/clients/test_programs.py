"""Programs as their authors' documentation writes them, in `programs/`; each fails by its own assertions."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import PROGRAMS, Client

NODE = Path(__file__).parent / "node"
OTHERS = ("asksage", "open_webui")
"""Programs of other environments than the SDKs'."""


@pytest.mark.client("sdks")
@pytest.mark.parametrize("program", sorted(path.stem for path in PROGRAMS.glob("*.py") if path.stem not in OTHERS))
def test_a_program_in_python(client: Client, program: str) -> None:
    # A copy of cl100k's table, which tiktoken would download: LlamaIndex brings one.
    tables = next(client.home.glob("lib/python*/site-packages/llama_index/core/_static/tiktoken_cache"))
    client.run(
        "python", PROGRAMS / f"{program}.py", TIKTOKEN_CACHE_DIR=str(tables), LITELLM_LOCAL_MODEL_COST_MAP="True"
    )


@pytest.mark.client("sdks")
def test_llm_answers_from_the_command_line(client: Client) -> None:
    base = f"{client.server.url}/v1"
    models = [{"model_id": "here", "model_name": "gpt-4o-mini", "api_base": base, "api_key_name": "here"}]
    (client.folder / "extra-openai-models.yaml").write_text(json.dumps(models))
    (client.folder / "keys.json").write_text(json.dumps({"here": client.server.key}))
    where = {"LLM_USER_PATH": str(client.folder)}
    options = ("-m", "here", "-o", "temperature", "0", "-o", "max_tokens", "40")
    assert "Tokyo" in client.run("llm", "What is the capital of Japan?", *options, **where)
    assert "Tokyo" in client.run("llm", "--no-stream", "What is the capital of Japan?", *options, **where)


@pytest.mark.client("node")
def test_the_ai_sdk(client: Client) -> None:
    client.run("npm", "--prefix", NODE, "test", "--silent")


@pytest.mark.client("node")
@pytest.mark.parametrize(("profile", "checks"), [("chat", 5), ("modern", 7)])
def test_compatcanary_finds_nothing_missing(client: Client, profile: str, checks: int) -> None:
    """modern: responses too."""
    where = ("--base-url", f"{client.server.url}/v1", "--model", "gpt-4o-mini", "--profile", profile)
    report = client.folder / "report.json"
    scan = ("compatcanary", "scan", *where, "--format", "json", "--output", report, "--fail-on", "any")
    client.run("npx", "--prefix", NODE, *scan)
    summary = json.loads(report.read_text())["summary"]
    assert summary == {"passes": checks, "warnings": 0, "failures": 0, "requiredFailures": 0, "total": checks}


@pytest.mark.client("sdks")
def test_trustedrouter_finds_nothing_wrong(client: Client) -> None:
    """But for one check, which asks the model to repeat a word: the starter model is too small to obey."""
    report = client.folder / "report.json"
    where = ("--base-url", f"{client.server.url}/v1", "--model", "gpt-4o-mini", "--tier", "5", "--json", report)
    client.run(
        "trustedrouter-provider-check",
        *where,
        "--max-sweep-models",
        "2",
        codes=(0, 1),
        TR_PROVIDER_API_KEY=client.server.key,
    )
    checks = json.loads(report.read_text())["checks"]
    assert {check["tier"] for check in checks} == {1, 2, 3, 4, 5}
    assert [check["id"] for check in checks if check["status"] == "fail" and check["id"] != "chat.pong"] == []
    assert sum(check["status"] == "pass" for check in checks) >= 18
