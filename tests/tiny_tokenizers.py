"""Tokenizers and chat templates in the manner of three families: what vLLM's renderer needs of a model, no weights.

llama: byte-level BPE, all control tokens special, content trimmed. qwen: byte-level BPE with a normalizer, functions
and reasoning between added tokens that are not special. mistral: SentencePiece's BPE, each text begun with a space,
bytes for what is unknown.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import LlamaConfig, PreTrainedTokenizerFast

Family = Literal["llama", "qwen", "mistral"]

TEXT = [
    "The quick brown fox jumps over the lazy dog, and the user asks what the system and the assistant said.",
    'A tool call has a name and arguments; the answer of the tool is text: {"city": "Oslo"}.',
    "<|a|> [b] </c> <d_e> \u00e4\u00f6\u00fc \u2581",
]

LLAMA = """\
{{- bos_token }}
{%- if documents %}{{- '<|start_header_id|>documents<|end_header_id|>' }}
{%- for document in documents %}{{- document['title'] + ': ' + document['text'] + '\\n' }}{%- endfor %}
{{- '<|eot_id|>' }}
{%- endif %}
{%- if tools %}{{- '<|start_header_id|>tools<|end_header_id|>' }}
{%- for tool in tools %}{{- tool.function.name + ': ' + tool.function.description + ' ' + tool | tojson + '\\n' }}
{%- endfor %}{{- '<|eot_id|>' }}{%- endif %}
{%- if date_string is defined %}{{- date_string }}{%- endif %}
{%- for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim }}
{%- for call in message.tool_calls or [] %}
{{- '<|python_tag|>' + call.function.name + ' ' + call.function.arguments | tojson }}{%- endfor %}
{{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"""

QWEN = """\
{%- if tools %}{{- '<|im_start|>system\\n<tools>' }}
{%- for tool in tools %}{{- '\\n' + tool | tojson(ensure_ascii=True) }}{%- endfor %}{{- '\\n</tools><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}
{%- set content = message.content %}
{%- set reasoning = '' %}
{%- if message.reasoning_content is string %}{%- set reasoning = message.reasoning_content %}
{%- elif '</think>' in content %}
{%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\\n') %}
{%- endif %}
{{- '<|im_start|>assistant\\n' }}
{%- if loop.last and reasoning %}{{- '<think>\\n' + reasoning.strip() + '\\n</think>\\n\\n' }}{%- endif %}
{{- content }}
{%- for call in message.tool_calls or [] %}
{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson + '}\\n</tool_call>' }}
{%- endfor %}{{- '<|im_end|>\\n' }}
{%- else %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}"""

PARTS = """\
{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}
{%- for part in message.content %}{{- part.text }}{%- endfor %}{{- '<|im_end|>\\n' }}
{%- endfor %}{{- '<|im_start|>assistant\\n' }}"""
"""Of a model that sees pictures: the parts of a message one after the other, with nothing between them."""

MISTRAL = """\
{{- bos_token }}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{%- set said = message.content.split('</think>')[-1] if '</think>' in message.content else message.content %}
{{- ' ' + said + eos_token }}
{%- elif message.role == 'tool' %}{{- '[TOOL_RESULTS]' + message.content + '[/TOOL_RESULTS]' }}
{%- else %}{{- '[INST] ' + message.content + ' [/INST]' }}{%- endif %}
{%- endfor %}"""

CONTROL: Mapping[Family, tuple[str, ...]] = {
    "llama": tuple(f"<|{name}|>" for name in (
        "begin_of_text", "start_header_id", "end_header_id", "eot_id", "python_tag", "image",
    )),
    "qwen": ("<|im_start|>", "<|im_end|>", "<|image_pad|>", *(
        f"<{end}{name}>" for name in ("tool_call", "tool_response", "think") for end in ("", "/")
    )),
    "mistral": ("<s>", "</s>", "[INST]", "[/INST]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "<think>", "</think>"),
}  # fmt: skip


def build(family: Family, folder: Path) -> Path:
    """Write a model's folder without weights and return it."""
    tokenizer = _MAKERS[family]()
    tokenizer.save_pretrained(folder)
    LlamaConfig(
        architectures=["LlamaForCausalLM"], vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16,
        num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=2048,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _byte_level(normalizer: normalizers.Normalizer | None = None) -> Tokenizer:
    made = Tokenizer(models.BPE())
    if normalizer is not None:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    return made


def _llama() -> PreTrainedTokenizerFast:
    made = _byte_level()
    made.add_special_tokens(list(CONTROL["llama"]))
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>", chat_template=LLAMA
    )


def _qwen() -> PreTrainedTokenizerFast:
    made = _byte_level(normalizers.NFC())
    special = {"<|im_start|>", "<|im_end|>"}
    made.add_special_tokens([token for token in CONTROL["qwen"] if token in special])
    made.add_tokens([AddedToken(token, normalized=False) for token in CONTROL["qwen"] if token not in special])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", chat_template=QWEN)


def _mistral() -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=600, special_tokens=first, show_progress=False))
    # Trained, the bytes are special tokens; in models of this kind they are ordinary ones that text can't write.
    plain = Tokenizer.from_str(_without_added(made.to_str(), kept=("<unk>", "<s>", "</s>")))
    plain.add_special_tokens([token for token in CONTROL["mistral"] if "think" not in token])
    plain.add_tokens([AddedToken(token, normalized=False) for token in ("<think>", "</think>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=MISTRAL
    )


def _without_added(written: str, kept: tuple[str, ...]) -> str:
    read = json.loads(written)
    read["added_tokens"] = [token for token in read["added_tokens"] if token["content"] in kept]
    return json.dumps(read)


_MAKERS: Mapping[Family, Callable[[], PreTrainedTokenizerFast]] = {"llama": _llama, "qwen": _qwen, "mistral": _mistral}
