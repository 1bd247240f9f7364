"""`scripts/check_libraries`: find every library that an environment's compiled extensions link or open by name."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.libraries.check import problems
from scripts.libraries.elf import read_folder
from server.engines.whisper.cuda_libraries import FOLDER, LIBRARIES

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/check_libraries", description=__doc__)
    parser.add_argument("environment", nargs="?", type=Path, default=ROOT / ".venv", help="default: .venv")
    environment = parser.parse_args(arguments).environment
    folders = sorted((environment / "lib").glob("python3.*/site-packages"))
    if not folders:
        print(f"check_libraries: {environment} is no Python environment", file=sys.stderr)
        return 2
    folders += [environment / FOLDER] if (environment / FOLDER).is_dir() else []
    libraries = [library for folder in folders for library in read_folder(folder)]
    wrong = problems(libraries, {name for _, name in LIBRARIES})
    for line in wrong:
        print(f"check_libraries: {line}", file=sys.stderr)
    if not wrong:
        print(f"check_libraries: {len(libraries)} libraries of {environment} find what they link and open")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
