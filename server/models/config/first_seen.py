"""When each public name first appeared: the `created` of /v1/models, the same over restarts."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

FILE = "first_seen.json"


def first_seen(names: Iterable[str], data_dir: Path, now: Callable[[], float]) -> Mapping[str, int]:
    """Unix seconds at which each name first appeared here; new names get `now` and are remembered.

    Names that have gone keep their time: a config that comes back is the same model.
    """
    file = data_dir / FILE
    known = _read(file)
    fresh = [name for name in names if name not in known]
    if fresh:
        known.update(dict.fromkeys(fresh, int(now())))
        _write(file, known)
    return known


def _read(file: Path) -> dict[str, int]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        # A damaged file costs the old times, not the start of the server.
        return {}
    if not isinstance(data, dict):
        return {}
    return {name: seconds for name, seconds in data.items() if isinstance(seconds, int)}


def _write(file: Path, known: Mapping[str, int]) -> None:
    """Replace the file in one step, so that a crash leaves the old one or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{FILE}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(known, stream, indent=1, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
