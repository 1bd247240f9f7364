"""How heavy a part of a body is: a walk that ends as soon as it is too heavy. Pure."""

from typing import Any

PART = 8
"""What each number, text, array and object counts at least, in characters."""


def heavier(value: Any, most: int) -> bool:
    """Whether JSON as Python has it has more than `most` characters in its texts and keys, PART added for each part."""
    weight, rest = 0, [value]
    while rest and weight <= most:
        part = rest.pop()
        weight += PART
        if isinstance(part, str):
            weight += len(part)
        elif isinstance(part, dict):
            weight += sum(map(len, part))
            rest.extend(part.values())
        elif isinstance(part, list | tuple):
            rest.extend(part)
    return weight > most
