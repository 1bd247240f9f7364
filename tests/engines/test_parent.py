"""A process ends with the one that started it, even with one that has ended before it could say so."""

import os
import select
import signal
import subprocess
import sys
import textwrap

BOUND = "import os, signal; from server.engines.parent import die_with_parent; "


def test_it_lives_while_its_parent_does() -> None:
    code = BOUND + f"die_with_parent({os.getpid()}); print('alive')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "alive\n"


def test_it_ends_with_its_parent() -> None:
    middle = textwrap.dedent(
        f"""
        import os, signal, subprocess, sys
        bound = {BOUND!r} + f"die_with_parent({{os.getpid()}}); print(os.getpid(), flush=True); signal.pause()"
        subprocess.Popen([sys.executable, "-c", bound])
        signal.pause()
        """
    )
    with subprocess.Popen([sys.executable, "-c", middle], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        bound = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            ended, _, _ = select.select([bound], [], [], 10)
            assert ended
        finally:
            os.close(bound)


def test_a_parent_that_has_ended_already_is_noticed() -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    code = BOUND + f"die_with_parent({int(gone.stdout)}); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""
