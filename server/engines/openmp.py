"""How long OpenMP's threads spin when they wait for each other, in every process that computes."""

import os

SPINCOUNT = "1000"


def patience() -> dict[str, str]:
    """Environment for a process that is about to be started: libgomp reads it as it is loaded.

    Its default, some milliseconds, suits a machine that does nothing else. Here the front end and several engines
    share the cores, and a spinning thread keeps the one it waits for from running: see docs/performance.md for the
    figures. An operator's own choice stands.
    """
    if "OMP_WAIT_POLICY" in os.environ or "GOMP_SPINCOUNT" in os.environ:
        return {}
    return {"GOMP_SPINCOUNT": SPINCOUNT}
