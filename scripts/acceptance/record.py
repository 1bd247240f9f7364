"""The results on disk: written after every check, so that a run that is cut off has left what it found."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.acceptance.check import Outcome, Status


class Record:
    """Outcomes by check, in the order of the table of checks, with the machine they were found on.

    A file that exists is continued: a check that runs again replaces its outcome, the others stay. That is how several
    short runs, where a machine is lent for minutes, become one result. Another machine's file is begun anew.
    """

    def __init__(self, file: Path, machine: Mapping[str, Any], order: Iterable[str]) -> None:
        self._file = file
        self._machine = dict(machine)
        self._order = list(order)
        self._outcomes: dict[str, Outcome] = {}
        try:
            earlier = json.loads(file.read_text(encoding="utf-8"))
            if earlier["machine"] == self._machine:
                self._outcomes = {one["name"]: Outcome.from_dict(one) for one in earlier["checks"]}
        except (OSError, ValueError, KeyError, TypeError):
            self._outcomes = {}

    @property
    def outcomes(self) -> list[Outcome]:
        known = [self._outcomes[name] for name in self._order if name in self._outcomes]
        return known + [one for name, one in self._outcomes.items() if name not in self._order]

    @property
    def machine(self) -> Mapping[str, Any]:
        return self._machine

    def add(self, outcome: Outcome) -> None:
        """Keep it, and write the file whole or not at all. What was not run doesn't replace what was."""
        if outcome.status is Status.NOT_RUN and outcome.name in self._outcomes:
            return
        self._outcomes[outcome.name] = outcome
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_name(f"{self._file.name}.partial")
        content = {"machine": self._machine, "checks": [one.as_dict() for one in self.outcomes]}
        with partial.open("w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(self._file)
