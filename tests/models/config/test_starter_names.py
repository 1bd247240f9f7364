"""The names that programs written for hosted APIs send are answered by the starter models."""

from decimal import Decimal
from pathlib import Path

import pytest

from server.core import Task
from server.models.config.catalog import check_configs

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("gpt-4", "0.01"),
        ("claude-3-5-sonnet-20241022", "0.006"),
        ("claude-35-sonnet", "0.006"),
        ("gemini-1.5-pro", "0.006"),
        ("openai_gpt", "0.0008"),
        ("deepseek-v4-flash", "0.0004"),
        ("gpt-4o", "0.01"),
    ],
)
def test_a_known_name_does_all_that_its_program_may_ask(name: str, price: str) -> None:
    bundles = [one.spec for one in check_configs(ROOT / "model_configs").bundles]
    ((bundle, entry),) = [(bundle, entry) for bundle in bundles for entry in bundle.names if entry.id == name]
    assert set(bundle.tasks) >= {Task.CHAT, Task.TRANSCRIPTION, Task.SPEECH, Task.IMAGE}
    assert entry.price is not None
    assert entry.price.prompt_token == entry.price.completion_token == Decimal(price)
