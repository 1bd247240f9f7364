"""How big a JSON Schema may be that an answer must obey. Checked before a grammar is made of it. Pure; no vLLM in it.

llguidance unrolls array bounds: a schema of sixty bytes with `maxItems: 1000000000` took 22 GB of the front end's
memory, and with it the server. Its time grows with the square of an object's properties: 20,000 of them took 6 s.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from server.errors import InvalidRequest

LONGEST = 256 * 1024
"""Characters of the schema as JSON. 100,000 enum values, a megabyte, are more than llguidance takes anyway."""
DEEPEST = 64
"""Levels; vLLM's own limit."""
MOST_PROPERTIES = 1000
"""`properties` in all; and as many entries of `required`. A thousand in one object cost 0.1 s."""
MOST_ITEMS = 10_000
"""The sum of all `minItems` and `maxItems`; it costs 0.06 s."""

LONGEST_PATTERN = 100_000
"""Characters of a regular expression, written out: `(ab){50}` has a hundred. A million cost 0.6 s, and as much again
where vLLM's core reads it (taken by hand)."""
_ATOMS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(\d+)(?:,(\d*))?\}|[()]|.", re.DOTALL)


def check(schema: Mapping[str, Any], param: str) -> None:
    """Raises InvalidRequest, with `param`, for a schema beyond any of the limits."""
    properties = required = 0
    items = 0.0
    rest: list[tuple[Any, int]] = [(schema, 1)]
    while rest:
        part, depth = rest.pop()
        if depth > DEEPEST:
            raise InvalidRequest(f"The JSON Schema is nested deeper than {DEEPEST} levels.", param=param)
        if isinstance(part, list):
            rest += [(inner, depth + 1) for inner in part if isinstance(inner, dict | list)]
        else:
            properties += _length(part.get("properties"))
            required += _length(part.get("required"))
            items += _count(part.get("minItems")) + _count(part.get("maxItems"))
            named = part.get("patternProperties")
            for pattern in (part.get("pattern"), *(named if isinstance(named, dict) else ())):
                if isinstance(pattern, str) and "{" in pattern:
                    check_pattern(pattern, param)
            rest += [(inner, depth + 1) for inner in part.values() if isinstance(inner, dict | list)]
    if max(properties, required) > MOST_PROPERTIES:
        raise InvalidRequest(f"The JSON Schema has more than {MOST_PROPERTIES} properties.", param=param)
    if items > MOST_ITEMS:
        raise InvalidRequest(
            f"The JSON Schema's minItems and maxItems add up to more than {MOST_ITEMS}; leave out what needs no bound.",
            param=param,
        )
    if len(json.dumps(schema)) > LONGEST:
        raise InvalidRequest(f"The JSON Schema has more than {LONGEST} characters.", param=param)


def check_pattern(pattern: str, param: str) -> None:
    """Raises InvalidRequest, with `param`, for a regular expression that repeats too much."""
    sizes, last = [0], 0
    for atom in _ATOMS.finditer(pattern):
        if atom[0] == "(":
            sizes.append(0)
            last = 0
        elif atom[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        elif atom[1] is not None:
            digits = atom[2] or atom[1]
            times = int(digits) if len(digits) < len(str(LONGEST_PATTERN)) else LONGEST_PATTERN + 1
            sizes[-1] += last * (times - 1)
            last *= times
        else:
            last = 1
            sizes[-1] += 1
        if sizes[-1] > LONGEST_PATTERN:
            raise InvalidRequest(
                f"A pattern repeats so much that it has more than {LONGEST_PATTERN} characters; leave a bound out.",
                param=param,
            )


def _length(value: Any) -> int:
    return len(value) if isinstance(value, dict | list) else 0


def _count(value: Any) -> float:
    return value if isinstance(value, int | float) and value > 0 else 0
