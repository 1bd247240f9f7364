"""Clients and load generators in environments of their own, which scripts/clients makes; one real server for all."""

import os
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import installed
from tests.e2e.live import ROOT, START, LiveServer

ENVIRONMENTS = ROOT / "data/clients"
OURS = "vllm"
"""The client whose environment is the project's own: vLLM's load generator is part of vLLM."""
PROGRAMS = Path(__file__).parent / "programs"
KEPT = ("PATH", "LANG", "SSL_CERT_FILE")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clients", default="", help="the environments that scripts/clients has made, by name")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only where scripts/clients runs them: other runs have no environments for them."""
    return None if config.getoption("--clients", "") else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Programs start slowly, and whichever test is first waits for the server's start."""
    for item in items:
        if item.get_closest_marker("client") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(START + 360))


class Client:
    """Runs programs of one environment against the server; what they print is kept beside it."""

    def __init__(self, name: str, server: LiveServer, folder: Path) -> None:
        self.home = ROOT / ".venv" if name == OURS else ENVIRONMENTS / name
        self.server = server
        self.folder = folder
        self.environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "HOME": str(folder),
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "OPENAI_API_BASE": f"{server.url}/v1",
            "OPENAI_API_KEY": server.key,
            # No hub can be reached, and none may be asked.
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "DO_NOT_TRACK": "1",
        }

    def run(
        self,
        *command: str | Path,
        within: float = 300,
        codes: Collection[int] = (0,),
        folder: Path | None = None,
        **variables: str,
    ) -> str:
        """What it prints; the test fails with that where the program ends with a code that is not among `codes`.

        within: seconds. folder: where it runs. variables: more of its environment.
        """
        line = [self.program(command[0]), *map(str, command[1:])]
        with (self.folder / "output").open("w+b") as output:
            code = subprocess.run(
                line,
                cwd=folder or self.folder,
                env=self.environment | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=within,
            ).returncode
            output.seek(0)
            printed = output.read().decode(errors="replace")
        assert code in codes, printed[-8000:]
        return printed

    def program(self, name: str | Path) -> str:
        """The environment's program of that name, or else the name, to be found on the path."""
        own = self.home / "bin" / name
        return str(own if own.exists() else name)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    installed()
    live = LiveServer(tmp_path_factory.mktemp("server"))
    try:
        live.wait_announced()
        live.wait_ready(fresh=True)
        yield live
    finally:
        live.stop()


@pytest.fixture
def client(request: pytest.FixtureRequest, server: LiveServer, tmp_path: Path) -> Client:
    """Of the environment that the test's marker names."""
    mark = request.node.get_closest_marker("client")
    name = mark.args[0]
    if name not in request.config.getoption("--clients").split():
        pytest.skip(f"scripts/clients was not asked for {name}")
    one = Client(name, server, tmp_path)
    assert name == "node" or one.home.is_dir(), (
        f"{name.upper()} IS NOT INSTALLED, and was not tested: see scripts/clients"
    )
    return one
