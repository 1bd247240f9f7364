"""Why a model could not be loaded, in one line for people: the exception's own words, without this machine's paths.

Operators read it in the log, clients in `/v1/models` and in a 503: names of files may stand in it, where they lie may
not.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

LONGEST = 500
"""Characters; what vLLM says of a KV cache that is too small has 460."""

_PATH = re.compile(r"(?:file://|(?<![\w/.:<])~?)(?:/[\w.+@%~#-]+)+/?")
"""An absolute path. A URL's path follows a word and stays."""
_URL_NOTICE = re.compile(r"\s*(?:For further information visit|See) https?://\S+(?: for (?:more )?details)?\.?")


def described(error: BaseException, *places: Path) -> str:
    """`TypeError: unexpected keyword 'x'`. places: files and folders that may hold blanks, shortened to their names."""
    if isinstance(error, ValidationError):
        # Its text ends with a URL, and holds the whole input.
        return cleaned("; ".join(_invalid(error)), places)
    words = str(error).strip()
    kind = type(error).__name__
    return cleaned(f"{kind}: {words}" if words else kind, places)


def cleaned(text: str, places: Iterable[Path] = ()) -> str:
    """One line, at most LONGEST characters, in which every absolute path has become the name at its end."""
    for place in sorted(map(str, places), key=len, reverse=True):
        text = text.replace(place, Path(place).name)
    text = _PATH.sub(lambda found: Path(found[0].removeprefix("file://")).name, text)
    text = " ".join(_URL_NOTICE.sub("", text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0] + "…"


def _invalid(error: ValidationError) -> Iterable[str]:
    for detail in error.errors(include_url=False, include_input=False):
        inner = detail.get("ctx", {}).get("error")
        if isinstance(inner, Exception):
            yield f"{type(inner).__name__}: {inner}"
        else:
            yield f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
