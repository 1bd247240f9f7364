"""Texts as a tokenizer reads them: rows of token ids, cut, paired or windowed to what a model reads at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from server.errors import ModelUnavailable

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What a model reads at once. kinds: 0 for a first text's tokens, 1 for a second's; None where all are 0."""

    ids: Ids
    kinds: Ids | None = None

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Cut:
    """side: which end of a text is cut off, where it has more than `tokens`."""

    tokens: int
    side: Literal["left", "right"] = "right"


class Reader:
    """A model's tokenizer. Holds no state of a job, so several threads may read by it.

    max_tokens: read at once, the tokenizer's own included.
    """

    def __init__(self, file: Path, max_tokens: int) -> None:
        """Raises ModelUnavailable."""
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(file))
        except Exception:  # noqa: BLE001 - the library raises nothing narrower
            raise ModelUnavailable("tokenizer.json of the model is missing or damaged.") from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        # Text is text: `[SEP]` in a document is five characters, and not the end of it.
        self._tokenizer.encode_special_tokens = True
        self.max_tokens = max_tokens
        self._added = int(self._tokenizer.num_special_tokens_to_add(False))
        self._added_to_pair = int(self._tokenizer.num_special_tokens_to_add(True))

    @property
    def own(self) -> int:
        """Tokens that are added to each row of one text."""
        return self._added

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Each text's ids with those that the tokenizer adds, however many there are."""
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        return [np.array(one.ids, dtype=np.int64) for one in encoded]

    def cut(self, text: str, to: Cut) -> Row:
        """A text in at most `to.tokens` tokens, those that are added included."""
        (encoded,) = self._bare([text])
        encoded.truncate(max(to.tokens - self._added, 0), direction=to.side)
        return Row(np.array(self._tokenizer.post_process(encoded).ids, dtype=np.int64))

    def windows(self, text: str, most: int) -> list[Row] | None:
        """A text in rows of `max_tokens` at most, as even as they come; None if that takes more than `most`."""
        (whole,) = self._bare([text])
        room = self.max_tokens - self._added
        count = -(-len(whole.ids) // room)
        if count > most:
            return None
        step = -(-len(whole.ids) // count)
        whole.truncate(step)
        return [
            Row(np.array(self._tokenizer.post_process(encoded).ids, dtype=np.int64))
            for encoded in (whole, *whole.overflowing)
        ]

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Row]:
        """Each pair in one row, however long."""
        return [_row(encoded) for encoded in self._tokenizer.encode_batch(list(pairs))]

    def cut_pair(self, pair: tuple[str, str], first: Cut | None, second: Cut | None, both: Cut | None) -> Row:
        """A pair with each part cut, and then the second, so that both have room."""
        query, document = self._bare(pair)
        if first is not None:
            query.truncate(min(first.tokens, len(query.ids)), direction=first.side)
        if second is not None:
            document.truncate(min(second.tokens, len(document.ids)), direction=second.side)
        if both is not None:
            room = max(both.tokens - self._added_to_pair, 0)
            query.truncate(min(room, len(query.ids)), direction=both.side)
            document.truncate(min(room - len(query.ids), len(document.ids)), direction=both.side)
        return _row(self._tokenizer.post_process(query, document))

    def _bare(self, texts: Sequence[str]) -> list[Any]:
        encoded: list[Any] = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return encoded


def _row(encoded: Any) -> Row:
    return Row(np.array(encoded.ids, dtype=np.int64), np.array(encoded.type_ids, dtype=np.int64))
