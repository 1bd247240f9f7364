"""Chunks and questions that nobody wrote, with words as often as a language has them, and vectors that lie in clusters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.knowledge.records import Chunk
from server.knowledge.search.words import STOPWORDS

VOCABULARY = 100_000
LENGTH = 180
"""Words of a chunk on average: some 256 tokens, which the starter model reads at once."""
DOCUMENT = 50
"""Chunks of a document."""
TOPICS, TOPIC_WORDS = 500, 200
DIMENSIONS = 384


@dataclass(frozen=True, slots=True)
class Document:
    chunks: Sequence[Chunk]
    vectors: NDArray[np.float32]


class Language:
    """Words by the law of Zipf and Mandelbrot: the n-th is as often as 1 / (n + 2.7). The first are English stopwords.

    A document is about a topic, which one in five of its words comes from, and which its vectors lie round.
    """

    def __init__(self, seed: int = 14) -> None:
        self._dice = np.random.default_rng(seed)
        made = (_word(number) for number in range(len(STOPWORDS), VOCABULARY))
        self.words = np.array([*sorted(STOPWORDS), *made])
        share = 1 / (np.arange(1, VOCABULARY + 1) + 2.7)
        self._rising = np.cumsum(share / share.sum())
        self._topics = self._dice.integers(1000, VOCABULARY, (TOPICS, TOPIC_WORDS))
        self._centres = self._dice.standard_normal((TOPICS, DIMENSIONS)).astype(np.float32)

    def documents(self, chunks: int) -> Iterator[Document]:
        for begin in range(0, chunks, DOCUMENT):
            topic = int(self._dice.integers(TOPICS))
            count = min(DOCUMENT, chunks - begin)
            texts = [" ".join(self.words[self._numbers(topic)].tolist()) for _ in range(count)]
            yield Document([Chunk(at, each) for at, each in enumerate(texts)], self.vectors(topic, count))

    def question(self) -> tuple[str, NDArray[np.float32]]:
        """As people ask: some stopwords, and a few words of one topic and of the language. Its vector is one row."""
        topic = int(self._dice.integers(TOPICS))
        numbers = [n for n in self._numbers(topic).tolist() if n >= len(STOPWORDS)][: int(self._dice.integers(3, 7))]
        asked = " ".join(self.words[numbers].tolist())
        return f"what is the {asked} of a", self.vectors(topic, 1)

    def vectors(self, topic: int, count: int) -> NDArray[np.float32]:
        rows = self._centres[topic] + self._dice.standard_normal((count, DIMENSIONS), dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _numbers(self, topic: int) -> NDArray[np.int64]:
        length = max(20, int(self._dice.normal(LENGTH, LENGTH / 4)))
        numbers = np.searchsorted(self._rising, self._dice.random(length))
        about = self._dice.random(length) < 0.2
        numbers[about] = self._dice.choice(self._topics[topic], int(about.sum()))
        return np.minimum(numbers, VOCABULARY - 1)


def _word(number: int) -> str:
    """A word of its own for each number, pronounceable: the syllables are its digits."""
    word = ""
    while number:
        number, digit = divmod(number, 75)
        word += "bdfgklmnprstvzh"[digit // 5] + "aeiou"[digit % 5]
    return word
