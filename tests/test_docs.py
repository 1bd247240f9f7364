"""The documents tell the truth: settings, endpoints, files, commands and the code that they print."""

import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import pytest
import typer
import uvicorn
import yaml
from pydantic import TypeAdapter
from starlette.routing import Route
from typer.testing import CliRunner

from server.__main__ import COMMANDS, build
from server.accounts.administration import Administration
from server.core import Task
from server.models.config.spec import ModelSpec
from server.settings import PREFIX, Settings
from server.testing import CALLER, KEY, FakePublicModel, FakeServer
from tests.cli.installed import install
from tests.readme import README, ROOT, TABLE, settings_table, snippet

DOCUMENTS = sorted([README, ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])
NODE_SUITE = ROOT / "tests/e2e/node"


def test_the_readme_lists_every_setting() -> None:
    (table,) = TABLE.findall(README.read_text())
    assert table == settings_table(), "python -m tests.readme renews it"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_settings_that_are_named_exist(document: Path) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}CONFIG", f"{PREFIX}*"}
    assert set(re.findall(rf"{PREFIX}[A-Z_]+\b", document.read_text())) <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    links = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert [target for target in links if not (document.parent / target).exists()] == []
    paths = re.findall(r"`((?:server|scripts|requirements|model_configs|tests|docs)/[\w./-]*)`", text)
    ignored = {"requirements/local.txt"}
    assert [path for path in paths if path not in ignored and not (ROOT / path).exists()] == []


ASKSAGE = ROOT / "docs/asksage.md"
DIALECT = ("/server/", "/user/")


@pytest.mark.anyio
async def test_the_table_of_endpoints_is_the_route_table(fake: FakeServer) -> None:
    rows = re.findall(r"^\| `(?:GET|POST|DELETE) (/[^|]*)\|(.*)$", README.read_text(), re.MULTILINE)
    assert rows
    listed = {_shape(path) for paths, _ in rows if "…" not in paths for path in re.findall(r"/[\w/{}.]*", paths)}
    served = {_shape(route.path) for route in fake.app.routes if isinstance(route, Route)}
    assert listed <= served, "listed and not served"
    # The Ask Sage API's paths are in a document of their own, to which one row leads. What is spoken in other tools'
    # dialects, and aliases, need not be listed.
    (group,) = [row for row in rows if "…" in row[0]]
    assert re.findall(r"`(?:POST )?(/\w+/)…`", f"`{group[0]}") == list(DIALECT)
    assert "](docs/asksage.md)" in group[1]
    dialect = {path for path in served if path.startswith(DIALECT)}
    assert served - listed - dialect <= {"/v1/audio/models", "/assets/{}/{}"}, "served and not listed"


@pytest.mark.anyio
async def test_the_tables_of_the_ask_sage_api_are_its_routes(fake: FakeServer) -> None:
    """With their methods: POST, where nothing else is said."""
    listed: list[tuple[str, str]] = []
    for row in re.findall(
        r"^\| (`/(?:server|user)/[^|]*)\| (?:served|with a difference) \|", ASKSAGE.read_text(), re.MULTILINE
    ):
        for path, said in re.findall(r"`(/[\w/-]+)`(?: \(([A-Z]+(?: only| too)?)\))?", row):
            method, _, how = said.partition(" ")
            listed += [(path, each) for each in ("POST", method) if each and not (how == "only" and each == "POST")]
    served = {
        (route.path, method)
        for route in fake.app.routes
        if isinstance(route, Route) and route.path.startswith(DIALECT)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert sorted(listed) == sorted(served)


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/")


def test_the_least_model_config_of_the_readme_is_valid() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    spec: ModelSpec = TypeAdapter(ModelSpec).validate_python(yaml.safe_load(block))
    assert spec.tasks[0] is Task.CHAT


@asynccontextmanager
async def listening(server: FakeServer) -> AsyncGenerator[str, None]:
    """The fake server on a socket, with the public names that the README uses; its base URL."""
    by_task = dict(server.catalog.public_models()[0].tasks)
    for name, task in (("gpt-4o-mini", Task.CHAT), ("tts-1", Task.SPEECH), ("whisper-1", Task.TRANSCRIPTION)):
        server.catalog.listed.append(FakePublicModel(name, {task: by_task[task]}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        web = uvicorn.Server(uvicorn.Config(server.app, lifespan="off", log_config=None, ws="none"))
        serving = asyncio.create_task(web.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            web.should_exit = True
            await serving


async def run(folder: Path, *command: str | Path) -> str:
    """Run a program in `folder`; its standard output. Fails the test with what it said if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.anyio
async def test_the_python_of_the_readme_runs(settings: Settings, tmp_path: Path) -> None:
    async with (
        Administration.open(settings) as administration,
        FakeServer(settings, {Task.CHAT: {"echo": True}}, knowledge=administration.accounts.database) as fake,
        listening(fake) as url,
    ):
        (tmp_path / "readme.py").write_text(snippet("python", base_url=url, key=KEY))
        output = await run(tmp_path, sys.executable, "readme.py")
        jobs = list(fake.engines[Task.CHAT].jobs)
    lines = output.strip().splitlines()
    assert len(lines) >= 8
    assert (tmp_path / "fox.mp3").stat().st_size > 0
    assert fake.engines[Task.CHAT].running == 0
    # What was said before, and what is in the file, was there to be answered from.
    assert any("capital of Japan" in str(job) and "And of Peru?" in str(job) for job in jobs)
    assert any("thirty days" in str(job) and "How many days of leave" in str(job) for job in jobs)
    answered = [json.loads(line) for line in lines if line.startswith('{"id":"batch_req_')]
    assert sorted(line["custom_id"] for line in answered) == ["rain", "snow", "wind"]
    assert any(line.startswith("completed BatchRequestCounts(completed=3, failed=0, total=3)") for line in lines)


def test_the_file_of_requests_of_the_readme_is_run_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the Python before it writes the file."""
    section = README.read_text().partition("## Responses, files and batches")[2].partition("\n## ")[0]
    (writing,) = re.findall(r"^(requests = Path\(.*?)^uploaded", section, re.MULTILINE | re.DOTALL)
    (command,) = re.findall(r"^\.venv/bin/sagehold (batch .*)$", section, re.MULTILINE)
    for name, value in (("DATA_DIR", "data"), ("MODEL_CONFIGS", "configs"), ("MODELS_DIR", "models")):
        monkeypatch.setenv(f"{PREFIX}{name}", str(tmp_path / value))
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "fake.yaml").write_text("name: gpt-4o-mini\nengine: fake\nserves: chat\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("server.cli.batch.QUIET", {})
    exec(writing, {"Path": Path, "json": json})
    words = shlex.split(command)
    done = CliRunner().invoke(build(words[0]), words)
    assert done.exit_code == 0, done.output
    answers = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    assert sorted(answer["custom_id"] for answer in answers) == ["rain", "snow", "wind"]


@pytest.mark.anyio
async def test_the_javascript_of_the_readme_runs(fake: FakeServer, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (NODE_SUITE / "node_modules/openai").is_dir():
        missing = "Node.js or its openai package is missing: scripts/setup --test brings the package"
        assert os.environ.get("CI") != "true", missing
        pytest.skip(missing)
    (tmp_path / "node_modules").symlink_to(NODE_SUITE / "node_modules", target_is_directory=True)
    async with listening(fake) as url:
        (tmp_path / "readme.mjs").write_text(snippet("javascript", base_url=url, key=KEY))
        output = await run(tmp_path, node, "readme.mjs")
    assert len(output.strip().splitlines()) >= 3
    assert (tmp_path / "fox.mp3").stat().st_size > 0


def test_commands_that_are_named_exist() -> None:
    """In documents, and in what clients are told."""
    known = {name: import_module(module) for name, (module, _) in COMMANDS.items()}
    texts = [path.read_text() for path in (*DOCUMENTS, *(ROOT / "server").rglob("*.py"))]
    named = {
        one
        for text in texts
        for one in re.findall(r"(?:`|^|bin/|-T server )sagehold ([a-z]+)(?: ([a-z-]+))?", text, re.MULTILINE)
    }
    assert len(named) > 30
    for name, action in named:
        assert name in known, f"sagehold {name} {action}"
        if action and not action.startswith("-") and hasattr(known[name], "app"):
            actions = typer.main.get_command(known[name].app).commands  # type: ignore[attr-defined]
            assert action in actions, f"sagehold {name} {action}"


YOUR_OWN = "## Your own documents"


def test_the_commands_about_documents_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("DATA_DIR", "data"), ("MODEL_CONFIGS", "configs"), ("MODELS_DIR", "models")):
        monkeypatch.setenv(f"{PREFIX}{name}", str(tmp_path / value))
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "fake.yaml").write_text("name: fake\nengine: fake\nserves: embedding\n")
    (tmp_path / "handbook").mkdir()
    (tmp_path / "handbook" / "leave.md").write_text("There are thirty days of leave.")
    install(tmp_path / "data")
    assert CliRunner().invoke(build("accounts"), ["accounts", "create", "default"]).exit_code == 0
    section = README.read_text().partition(YOUR_OWN)[2].partition("\n## ")[0]
    commands = re.findall(r"^\.venv/bin/sagehold (datasets .*)$", section, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        words = shlex.split(command.replace("~/handbook", str(tmp_path / "handbook")))
        done = CliRunner().invoke(build(words[0]), words)
        assert done.exit_code == 0, done.output
    assert done.stdout.startswith("[1] leave.md (handbook, ")


@pytest.mark.anyio
async def test_the_curl_about_documents_of_the_readme_runs(settings: Settings, tmp_path: Path) -> None:
    async with (
        Administration.open(settings) as administration,
        FakeServer(settings, knowledge=administration.accounts.database) as fake,
        listening(fake) as url,
    ):
        await fake.knowledge.datasets.create(CALLER, "handbook")
        text = b"There are thirty days of leave."
        added = await fake.knowledge.ingestion.add(CALLER, "handbook", "leave.md", text)
        assert [one async for one in fake.knowledge.ingestion.follow(added.id)][-1].chunks == 1
        answer = json.loads(
            await run(tmp_path, "bash", "-c", snippet("bash", base_url=url, key=KEY).replace("curl", "curl -s"))
        )
    assert (answer["status"], answer["message"]) == (200, "Hello from the fake engine.")
    assert "There are thirty days of leave." in answer["references"]
    assert "leave.md" in str(answer["citations"])


def test_the_python_for_the_ask_sage_client_is_python() -> None:
    """It is not run: the client's licence is for customers of the service. tests/e2e sends what it sends."""
    (code,) = re.findall(r"^```python asksage\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    compile(code, "README.md", "exec")


def test_no_lock_names_an_index() -> None:
    for lock in ROOT.glob("requirements/*.txt"):
        assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links", lock.read_text()) == []
    assert '"resolved"' not in (NODE_SUITE / "package-lock.json").read_text()


@pytest.mark.parametrize("name", ["cpu", "cuda", "openapi", "test", "uv", "models"])
def test_every_locked_package_has_a_version_and_a_hash(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line and line[0].isalnum()]
    assert packages
    assert [line[:60] for line in packages if "==" not in line or "--hash=sha256:" not in line] == []
