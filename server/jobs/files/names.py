"""What a client calls a file, as it is kept and shown."""

import re
import unicodedata

from server.jobs.files.records import LONGEST_NAME

_LONGEST_SUFFIX = 20
_LONGEST_LOOKED_AT = 4096
# Marks of direction, by which `gpj.exe` looks like `exe.jpg`.
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_UNSHOWN = frozenset(("Cc", "Cs", "Zl", "Zp"))


def shown_name(name: str) -> str:
    """In one line, without folders before it and at most LONGEST_NAME characters long: `a/b\\nc.txt` is `b_c.txt`.

    What can't be shown becomes `_`; a long name loses its middle, so that its suffix stays.
    """
    if len(name) > _LONGEST_LOOKED_AT:  # of which no more than its ends could be shown
        name = name[: _LONGEST_LOOKED_AT // 2] + name[-_LONGEST_LOOKED_AT // 2 :]
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join("_" if unicodedata.category(sign) in _UNSHOWN else sign for sign in _TURNING.sub("_", last)).strip()
    if clean.strip(".") == "":
        return "file"
    if len(clean) <= LONGEST_NAME:
        return clean
    stem, dot, suffix = clean.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        return clean[:LONGEST_NAME]
    return f"{stem[: LONGEST_NAME - len(suffix) - 1]}.{suffix}"
