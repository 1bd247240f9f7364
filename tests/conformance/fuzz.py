"""`scripts/fuzz`: what hypothesis makes up, and what schemathesis makes of our own /openapi.json, held to the promises.

Both against fake engines: hypothesis in process (attack.py), schemathesis over a socket of this machine.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conformance.attack import IN_PROCESS, attacked, in_process
from tests.conformance.loopback import loopback

ROOT = Path(__file__).resolve().parents[2]
HOOKS = """
import schemathesis

@schemathesis.hook
def before_load_schema(context, raw_schema):
    # Of a stream we describe each event's data, as the OpenAI API's own document does; schemathesis reads the event.
    for path in raw_schema["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                answer.get("content", {}).get("text/event-stream", {}).pop("schema", None)
"""


def operations(url: str) -> int:
    """How many the document has."""
    with urllib.request.urlopen(f"{url}/openapi.json") as answer:
        return sum(len(path) for path in json.load(answer)["paths"].values())


def by_document(count: int, seed: int) -> tuple[int, int]:
    """Let schemathesis send about as many requests, to all operations alike.

    Returns how many it sent, and its exit status: 0 where all answers are as the document says. Those of its fixed
    phases (examples, and the borders of each field) come besides, about 3,300 of them.
    """
    with loopback() as (url, key), TemporaryDirectory() as folder:
        hooks = Path(folder) / "hooks.py"
        hooks.write_text(HOOKS)
        each = max(1, count // operations(url))
        done = subprocess.run(
            ["scripts/fuzz_openapi", url, key, str(each), "--seed", str(seed), "--generation-database", "none"],
            cwd=ROOT,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(hooks)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    print(done.stdout)
    found = re.search(r"(\d+) generated", done.stdout)
    return int(found[1]) if found else 0, done.returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="requests of both together, a half each")
    parser.add_argument("--seed", type=int, default=12)
    asked = parser.parse_args()
    begun = time.monotonic()
    sent, status = by_document(asked.count // 2, asked.seed)
    with in_process() as send:
        figures = attacked(send, IN_PROCESS, count=asked.count // 2, number=asked.seed)
    print(f"seed {asked.seed}, {time.monotonic() - begun:.0f} s")
    print(f"hypothesis: {figures.total} requests, {len(figures.faults)} kinds of faults")
    print(f"schemathesis: {sent} requests, {'no fault' if status == 0 and sent else 'faults: see above'}")
    return 1 if figures.faults or status or not sent else 0


if __name__ == "__main__":
    sys.exit(main())
