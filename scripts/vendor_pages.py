#!/usr/bin/env python3
"""Brings the libraries of the pages into server/web/static/vendor, as server/web/vendored.json says.

    scripts/vendor_pages.py           bring them: npm packs each version, and its tarball must have the noted sha256
    scripts/vendor_pages.py --check   the same into a temporary folder, compared with what is in the repository
    scripts/vendor_pages.py --pin     note the hashes of what npm has for the versions in the file, and bring that

npm's own configuration says where packages come from. The files are theirs but for three changes, without which a
browser could not load them as they lie: names of packages in imports become paths, the comment that names a source map
goes, and a file that sets a global variable is made a module. Exit status 75: npm has no network.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTES = ROOT / "server/web/vendored.json"
VENDOR = ROOT / "server/web/static/vendor"

PATHS: Mapping[str, str] = {
    "preact": "../preact/preact.js",
    "preact/hooks": "../preact/hooks.js",
    "@preact/signals-core": "../signals-core/signals-core.js",
}
"""What stands for a bare name in an import: a browser resolves none without an import map, which would be inline."""
GLOBALS: Mapping[str, str] = {"uplot.js": "uPlot"}
"""Files that are no modules, and the variable that each sets."""
NO_NETWORK = 75


class Refused(Exception):
    """What was brought is not what is noted."""


def folder(package: str) -> str:
    """The name of a package's folder, its scope left out."""
    return package.rpartition("/")[2]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def packed(package: str, version: str) -> bytes:
    """The tarball of a version. Raises CalledProcessError with what npm says."""
    with tempfile.TemporaryDirectory() as place:
        command = ["npm", "pack", "--silent", f"{package}@{version}", "--pack-destination", place]
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=place)
        (tarball,) = Path(place).glob("*.tgz")
        return tarball.read_bytes()


def as_module(name: str, data: bytes) -> bytes:
    """The file as a browser loads it."""
    if not name.endswith(".js"):
        return data
    text = re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "\n", data.decode())
    text = re.sub(r'(\bfrom ?|\bimport ?)"([^"./][^"]*)"', lambda found: f'{found[1]}"{PATHS[found[2]]}"', text)
    if name in GLOBALS:
        text = f"{text.rstrip()}\nexport default {GLOBALS[name]};\n"
    return text.encode()


def bring(package: str, notes: dict[str, Any], into: Path, *, pin: bool) -> None:
    """Unpack a package's files into its folder. pin: note the hashes rather than compare with them. Raises Refused."""
    tarball = packed(package, notes["version"])
    if pin:
        notes["tarball"] = digest(tarball)
    elif digest(tarball) != notes["tarball"]:
        raise Refused(
            f"{package} {notes['version']}: the tarball's sha256 is {digest(tarball)}, not {notes['tarball']}"
        )
    place = into / folder(package)
    place.mkdir(parents=True)
    with tempfile.NamedTemporaryFile(suffix=".tgz") as kept:
        kept.write(tarball)
        kept.flush()
        with tarfile.open(kept.name) as archive:
            for name, path in notes["files"].items():
                member = archive.extractfile(f"package/{path}")
                assert member is not None, f"{package} has no {path}"
                data = as_module(name, member.read())
                if pin:
                    notes["sha256"][name] = digest(data)
                elif digest(data) != notes["sha256"][name]:
                    raise Refused(f"{package}: {name} has the sha256 {digest(data)}, not {notes['sha256'][name]}")
                (place / name).write_bytes(data)


def differing(notes: Mapping[str, Any], vendor: Path = VENDOR) -> list[str]:
    """The files of the repository that are not as noted, are missing, or are noted nowhere."""
    noted = {f"{folder(package)}/{name}": sha for package, one in notes.items() for name, sha in one["sha256"].items()}
    found = {str(path.relative_to(vendor)): digest(path.read_bytes()) for path in vendor.rglob("*") if path.is_file()}
    return sorted(name for name in noted.keys() | found.keys() if noted.get(name) != found.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare with what is in the repository")
    what.add_argument("--pin", action="store_true", help="note new hashes")
    asked = parser.parse_args()
    notes = json.loads(NOTES.read_text())
    if asked.check and (wrong := differing(notes)):
        print(f"vendor_pages: not as noted in {NOTES.name}: {', '.join(wrong)}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as place:
        fresh = Path(place) / "vendor"
        try:
            for package, one in notes.items():
                bring(package, one, fresh, pin=asked.pin)
                print(f"{package} {one['version']} ({one['licence']})")
        except Refused as error:
            print(f"vendor_pages: {error}", file=sys.stderr)
            return 1
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"vendor_pages: npm brought nothing: {getattr(error, 'stderr', None) or error}", file=sys.stderr)
            return NO_NETWORK
        if asked.check:
            return 0
        if asked.pin:
            NOTES.write_text(json.dumps(notes, indent=2) + "\n")
        shutil.rmtree(VENDOR, ignore_errors=True)
        shutil.copytree(fresh, VENDOR)
    return 0


if __name__ == "__main__":
    sys.exit(main())
