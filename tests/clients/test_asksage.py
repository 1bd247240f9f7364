"""Ask Sage's own client for Python, in the environment of those whose licence allows it."""

import pytest

from tests.clients.conftest import PROGRAMS, Client
from tests.e2e.live import ROOT
from tests.e2e.sage_checks import CHECKS, PAYING


@pytest.mark.client("asksage")
def test_every_method_of_the_client(client: Client) -> None:
    checks = str(ROOT / "tests/e2e")
    server = client.server
    server.command("accounts", "create", "ann", "--email", PAYING)
    admin = server.command("keys", "create", "--scopes", "admin")
    variables = {"SAGEHOLD_URL": server.url, "SAGEHOLD_CHECKS": checks, "SAGEHOLD_ADMIN_KEY": admin}
    said = client.run("python", PROGRAMS / "asksage.py", **variables)
    assert [line for line in said.splitlines() if line in CHECKS] == list(CHECKS)
