"""The strings that a tokenizer reads as control tokens, and where a text holds them. No vLLM in it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SPACE = "\u2581"
"""What SentencePiece writes for a space."""


class ControlStrings:
    """Special and added tokens as a client could type them, `<|im_end|>` and `<tool_call>` alike.

    strings: each of two characters at least, for one character can't be broken in two. normalize: what the tokenizer
    makes of a text before it looks for these strings, or None where it looks for them in the text as it is.
    """

    def __init__(self, strings: Iterable[str], normalize: "Folding | None" = None) -> None:
        known = sorted({string for string in strings if len(string) > 1})
        self._folding = normalize
        self._pattern = _any_of(known)
        self._folded = None if normalize is None else _any_of(sorted({normalize.text(one) for one in known}))
        self._spaced = any(character.isspace() for string in known for character in string)
        self._longest = max(map(len, known), default=0)
        self._starts = frozenset(string[:end] for string in known for end in range(1, len(string)))
        self._ends = frozenset(string[start:] for string in known for start in range(1, len(string)))
        self._first, self._last = {string[0] for string in known}, {string[-1] for string in known}
        self._joined = "\n".join(known)
        self.characters = frozenset(self._joined)

    def found(self, text: str) -> bool:
        if self._pattern is None:
            return False
        if self._pattern.search(text) is not None:
            return True
        return self._folding is not None and self._folded_places(text, first=True) != []

    def places(self, text: str) -> list[tuple[int, int]]:
        """Start and end of the longest of these strings at each place where one begins; they may overlap."""
        if self._pattern is None:
            return []
        places = list(_overlapping(self._pattern, text))
        if self._folding is not None:
            places = sorted({*places, *self._folded_places(text)})
        return places

    def edges(self, text: str) -> tuple[int, ...]:
        """Where `text` could become part of such a string by what is written beside it: its start, its end, both or
        neither. White space around it is left out, for templates trim."""
        core = text if self._spaced else text.strip()
        if not core:
            return ()
        start = 0 if self._spaced else len(text) - len(text.lstrip())
        end = start + len(core)
        if len(core) <= self._longest and core in self._joined:
            return (start, end)
        # Few texts hold, so near their edges, a character with which a control string begins or ends.
        begins = not self._last.isdisjoint(core[: self._longest]) and any(
            core[:size] in self._ends for size in range(1, min(len(core), self._longest))
        )
        ends = not self._first.isdisjoint(core[-self._longest :]) and any(
            core[-size:] in self._starts for size in range(1, min(len(core), self._longest))
        )
        return (start,) * begins + (end,) * ends

    def _folded_places(self, text: str, *, first: bool = False) -> list[tuple[int, int]]:
        assert self._folding is not None
        assert self._folded is not None
        folded = self._folding.text(text)
        if folded == text or self._folded.search(folded) is None:
            return []
        if first:
            return [(0, 0)]
        origin = [place for place, character in enumerate(text) for _ in self._folding.text(character)]
        return [(origin[start], origin[end - 1] + 1) for start, end in _overlapping(self._folded, folded)]


class Folding:
    """A tokenizer's normalizer, one character at a time, so that places in its text are places in the client's.

    What it makes of several characters together (an accent joins its letter) only takes control strings away.
    """

    def __init__(self, normalizer: Any) -> None:
        table = self._table = _Table()
        table.normalizer = normalizer

    def text(self, text: str) -> str:
        return text.translate(self._table)


class _Table(dict[int, str]):
    normalizer: Any

    def __missing__(self, code: int) -> str:
        character = chr(code)
        folded = str(self.normalizer.normalize_str(character))
        if character != " " and len(folded) > 1:
            folded = folded.removeprefix(SPACE)  # that of a normalizer that begins each text with a space
        self[code] = folded
        return folded


def of(tokenizer: Any) -> ControlStrings:
    """Those of a tokenizer of transformers.

    Added tokens that are words or white space alone are text that the vocabulary lacked, and not among them.
    """
    special = {*map(str, getattr(tokenizer, "all_special_tokens", ()))}
    added: dict[str, bool] = {}
    for token in getattr(tokenizer, "added_tokens_decoder", {}).values():
        added[str(token)] = bool(getattr(token, "normalized", False))
        if getattr(token, "special", False):
            special.add(str(token))
    others = {*added, *getattr(tokenizer, "get_added_vocab", dict)()}
    if isinstance(more := getattr(tokenizer, "special_tokens", None), Mapping):  # tokenizers of tiktoken's kind
        special |= {token for token in more if isinstance(token, str)}
    control = special | {token for token in others if not _word(token)}
    normalizer = getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)
    folds = normalizer is not None and any(added.get(token) for token in control)
    return ControlStrings(control, Folding(normalizer) if folds else None)


def _word(token: str) -> bool:
    return all(character.isalnum() or character.isspace() or character == SPACE for character in token)


def _overlapping(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    found = pattern.search(text)
    while found is not None:
        yield found.span()
        found = pattern.search(text, found.start() + 1)


def _any_of(strings: list[str]) -> re.Pattern[str] | None:
    """Matches the longest of `strings`, however many there are: as a tree, for an alternation tries one by one.

    strings: sorted.
    """
    return re.compile(_tree(strings, 0)) if strings else None


def _tree(strings: list[str], depth: int) -> str:
    """Of strings that are alike up to `depth`, their common rest and then what differs."""
    common = depth
    shortest, last = strings[0], strings[-1]
    while common < min(len(shortest), len(last)) and shortest[common] == last[common]:
        common += 1
    stem = re.escape(shortest[depth:common])
    ends = len(shortest) == common
    branches: dict[str, list[str]] = {}
    for string in strings[1:] if ends else strings:
        branches.setdefault(string[common], []).append(string)
    if not branches:
        return stem
    return f"{stem}(?:{'|'.join(_tree(branch, common) for branch in branches.values())}){'?' if ends else ''}"
