"""How deep llguidance goes into a schema, which it does by recursion: too deep, and the process is gone without a word.

Pure, over schemas as `schema_form` writes them: `$ref` names an entry of `$defs` and nothing else.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from server.engines.vllm.schema_ends import named, rebuilt

DEEPEST = 600
"""Levels of schemas within schemas, references followed. Chains of 500 references, two or three levels each, are read;
of 1000, two levels each, the stack of 8 MiB runs over (taken by hand, llguidance 1.7.6)."""


def depth(schema: Any, defs: Mapping[str, Any]) -> int:
    """No path that follows each reference once is longer, in levels."""
    every = {**defs, "": schema}
    below: dict[str, int] = {}
    for group in _circles({name: {used for used, _ in _refs(inner)} for name, inner in every.items()}):
        within = sum(_levels(every[name]) for name in group)
        rest = max((below[used] for name in group for used, _ in _refs(every[name]) if used not in group), default=0)
        below |= dict.fromkeys(group, within + rest)
    return below[""]


def _levels(schema: Any) -> int:
    return max((level for _, level in _refs(schema)), default=1)


def _refs(schema: Any) -> Iterator[tuple[str, int]]:
    """The entries of `$defs` that a schema names, each with its level there, from 1 on."""
    found: list[tuple[str, int]] = []

    def look(inner: Any, level: int) -> Any:
        if isinstance(inner, Mapping):
            if "$ref" in inner:
                found.append((named(inner["$ref"]), level))
            rebuilt(inner, lambda one: look(one, level + 1))
        return inner

    look(schema, 1)
    yield from found


def _circles(uses: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """Groups of entries that name each other in circles, or single ones; each after those that it names. Tarjan's
    algorithm (SIAM Journal on Computing 1, 1972), without recursion."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    pending: set[str] = set()
    for root in uses:
        if root in number:
            continue
        walk = [(root, iter(uses[root]))]
        number[root] = lowest[root] = len(number)
        stack.append(root)
        pending.add(root)
        while walk:
            name, rest = walk[-1]
            used = next(rest, None)
            if used is None:
                walk.pop()
                if walk:
                    lowest[walk[-1][0]] = min(lowest[walk[-1][0]], lowest[name])
                if lowest[name] == number[name]:
                    group = set(stack[stack.index(name) :])
                    del stack[-len(group) :]
                    pending -= group
                    yield group
            elif used not in number:
                number[used] = lowest[used] = len(number)
                stack.append(used)
                pending.add(used)
                walk.append((used, iter(uses[used])))
            elif used in pending:
                lowest[name] = min(lowest[name], number[used])
