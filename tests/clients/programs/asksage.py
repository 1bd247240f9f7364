"""The vendor's client, unmodified: what sage_checks.py asks of each of its methods.

It is proprietary, and its licence wants a paid one of whoever installs it: scripts/clients brings it only when asked by
name.
"""

import os
import sys
from pathlib import Path

from asksageclient import AskSageClient

sys.path.insert(0, os.environ["SAGEHOLD_CHECKS"])

from sage_checks import CHECKS, Desk


def client(email: str, key: str) -> AskSageClient:
    base = os.environ["SAGEHOLD_URL"]
    return AskSageClient(email, key, user_base_url=f"{base}/user", server_base_url=f"{base}/server")


desk = Desk(client, os.environ["OPENAI_API_KEY"], os.environ["SAGEHOLD_ADMIN_KEY"], Path.cwd())
for name, check in CHECKS.items():
    print(name, flush=True)
    check(desk)
