"""Programs as their authors' documentation writes them, in `programs/`; each fails by its own assertions."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import PROGRAMS, Client

NODE = Path(__file__).parent / "node"


@pytest.mark.client("sdks")
@pytest.mark.parametrize("program", sorted(path.stem for path in PROGRAMS.glob("*.py") if path.stem != "open_webui"))
def test_a_program_in_python(client: Client, program: str) -> None:
    client.run("python", PROGRAMS / f"{program}.py")


@pytest.mark.client("sdks")
def test_llm_answers_from_the_command_line(client: Client) -> None:
    (client.folder / "io.datasette.llm").mkdir()
    models = [{"model_id": "here", "model_name": "gpt-4o-mini", "api_base": f"{client.server.url}/v1"}]
    (client.folder / "io.datasette.llm/extra-openai-models.yaml").write_text(json.dumps(models))
    where = {"LLM_USER_PATH": str(client.folder / "io.datasette.llm")}
    options = ("-m", "here", "--key", client.server.key, "-o", "temperature", "0", "-o", "max_tokens", "40")
    assert "Tokyo" in client.run("llm", "What is the capital of Japan?", *options, **where)
    assert "Tokyo" in client.run("llm", "--no-stream", "What is the capital of Japan?", *options, **where)


@pytest.mark.client("node")
def test_the_ai_sdk(client: Client) -> None:
    client.run("npm", "--prefix", NODE, "test", "--silent")


@pytest.mark.client("node")
@pytest.mark.parametrize("profile", ["chat"])
def test_compatcanary_finds_nothing_required_missing(client: Client, profile: str) -> None:
    where = ("--base-url", f"{client.server.url}/v1", "--model", "gpt-4o-mini", "--profile", profile)
    client.run("npx", "--prefix", NODE, "compatcanary", "scan", *where, "--format", "json", "--fail-on", "required")


@pytest.mark.client("sdks")
def test_trustedrouter_finds_nothing_wrong(client: Client) -> None:
    where = (
        "--base-url",
        f"{client.server.url}/v1",
        "--model",
        "gpt-4o-mini",
        "--tier",
        "6",
        "--max-sweep-models",
        "4",
    )
    report = client.folder / "report.json"
    client.run("trustedrouter-provider-check", *where, "--json", report, TR_PROVIDER_API_KEY=client.server.key)
    assert json.loads(report.read_text())
