"""Ask Sage's own client for Python, in the environment of those whose licence allows it."""

import pytest

from tests.clients.conftest import PROGRAMS, Client
from tests.e2e.live import ROOT
from tests.e2e.sage_checks import CHECKS


@pytest.mark.client("asksage")
def test_every_method_of_the_client(client: Client) -> None:
    checks = str(ROOT / "tests/e2e")
    said = client.run("python", PROGRAMS / "asksage.py", SAGEHOLD_URL=client.server.url, SAGEHOLD_CHECKS=checks)
    assert [line for line in said.splitlines() if line in CHECKS] == list(CHECKS)
