"""One check in a process of its own: `python -m scripts.acceptance.child NAME PROGRAM SETTING OUTCOME`.

Whatever it does to itself, a fault in a CUDA library included, the run goes on. Its findings are in OUTCOME in the end.
"""

import importlib
import json
import sys
import time
import traceback
from pathlib import Path

from scripts.acceptance.check import Findings, Outcome, Skip, Status, judge
from scripts.acceptance.setting import Setting
from server.offline import go_offline


def perform(name: str, program: str, setting: Setting) -> Outcome:
    """Run the check here. Whatever it raises becomes its reason to have failed, beside what it had found by then."""
    findings = Findings()
    begun = time.monotonic()
    module, _, function = program.partition(":")
    try:
        getattr(importlib.import_module(module), function)(setting, findings)
    except Skip as why:
        found = tuple(findings.figures), tuple(findings.notes)
        return Outcome(name, Status.SKIPPED, str(why), time.monotonic() - begun, *found)
    except Exception as error:  # noqa: BLE001 - any fault is the check's result
        traceback.print_exc()
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"
        found = tuple(findings.figures), tuple(findings.notes)
        return Outcome(name, Status.FAILED, reason, time.monotonic() - begun, *found)
    return judge(name, findings.figures, time.monotonic() - begun, findings.notes)


def main(name: str, program: str, setting: Path, outcome: Path) -> None:
    go_offline()
    found = perform(name, program, Setting.from_json(setting.read_text(encoding="utf-8")))
    outcome.write_text(json.dumps(found.as_dict()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
