"""Encoders of a few thousand random weights, with a tokenizer of whole words, as graphs for the embedding engine."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "white", "hello", "world", "[", "]", "sep")
"""Their ids are their places."""

POSITIONS = 16
"""Tokens that a tiny encoder reads at once."""


def write_tokenizer(folder: Path) -> None:
    """tokenizer.json: words of `WORDS`, in lower case, as BERT frames them."""
    tokenizer: Any = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_recipe(folder: Path, *, pooling: str = "mean_tokens", normalize: bool = True, **config: Any) -> None:
    """The files that say how vectors are made, without weights."""
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling"), *([("Normalize", "2_Normalize")] if normalize else [])]
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in kinds]
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    (folder / "modules.json").write_text(json.dumps(modules))
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "lasttoken")
    chosen = {f"pooling_mode_{mode}": mode == pooling for mode in modes}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 8, **chosen}))
    (folder / "config.json").write_text(
        json.dumps({"model_type": "bert", "max_position_embeddings": POSITIONS, "hidden_size": 8, **config})
    )


def make_encoder(folder: Path, *, classifier: bool = False, pooling: str = "mean_tokens") -> Path:
    """A random BERT of one layer as a graph; a classifier with one output, or an encoder that pools. Takes seconds."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    from server.engines.embed.export import export_graph

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=POSITIONS,
        pad_token_id=0,
        num_labels=1,
        # Weights as small as BERT's own make all texts alike in so small a model.
        initializer_range=1.0,
    )
    write_tokenizer(folder)
    model = (BertForSequenceClassification if classifier else BertModel)(config)
    if not classifier:
        write_recipe(folder, pooling=pooling)
    model.save_pretrained(folder)
    export_graph(folder)
    return folder
