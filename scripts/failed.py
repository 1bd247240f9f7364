"""What failed, once more and last: a log that is cut in its middle still shows it.

Reads the results that pytest wrote as JUnit XML (`--junitxml`): `python -m scripts.failed build/tests/*.xml`.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

LINES = 25
"""Lines shown of a failure: its last, where pytest says what was wrong."""
MOST = 10
"""Failures shown; of the others there are names."""


def failures(file: Path) -> Iterator[tuple[str, str]]:
    """Each failed test's name, and what pytest told of it. A file that isn't whole, as of a run that was killed, is
    itself a failure."""
    try:
        root = ElementTree.parse(file).getroot()  # noqa: S314 -- our own pytest wrote it
    except (OSError, ElementTree.ParseError) as error:
        yield file.stem, f"no results: {error}"
        return
    for case in root.iter("testcase"):
        for kind in ("failure", "error"):
            for told in case.findall(kind):
                yield f"{case.get('classname')}::{case.get('name')}", told.text or told.get("message") or kind


def summary(files: Iterable[Path]) -> list[str]:
    """Lines; none if nothing failed."""
    lines: list[str] = []
    for number, (name, told) in enumerate(failure for file in files for failure in failures(file)):
        lines.append(f"FAILED {name}")
        if number < MOST:
            lines += [f"    {line}" for line in told.rstrip().splitlines()[-LINES:]]
    return lines


if __name__ == "__main__":
    print("\n".join(summary(map(Path, sys.argv[1:]))))
