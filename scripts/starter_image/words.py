"""The text encoder's tokenizer: byte-pair encoding in CLIP's form, learned from the training captions."""

import json
from collections.abc import Iterable
from random import Random

from starter_image.captions import FILLERS, Captions
from starter_image.corpus import Concept
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTokenizer

LENGTH = 24
"""Tokens of a caption, start and end included; longer ones are cut."""

START, END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(concepts: Iterable[Concept], captions: Captions, rng: Random, size: int = 4000) -> CLIPTokenizer:
    """A CLIPTokenizer of about `size` tokens. Every byte is one, inside a word and at its end: no text is unknown."""
    corpus = [captions.draw(concept, rng) for concept in concepts for _ in range(30)] + list(FILLERS) * 50
    pattern = CLIPTokenizer().backend_tokenizer
    bpe = Tokenizer(BPE(end_of_word_suffix="</w>"))
    bpe.normalizer, bpe.pre_tokenizer = pattern.normalizer, pattern.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(
        corpus,
        BpeTrainer(
            vocab_size=size - len(alphabet) - 2,
            initial_alphabet=alphabet,
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    learned: dict[str, int] = bpe.get_vocab()
    endings = [letter + "</w>" for letter in alphabet if letter + "</w>" not in learned]
    vocab = {
        token: index for index, token in enumerate([*sorted(learned, key=learned.__getitem__), *endings, START, END])
    }
    merges = [tuple(merge) for merge in json.loads(bpe.to_str())["model"]["merges"]]
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=LENGTH)
