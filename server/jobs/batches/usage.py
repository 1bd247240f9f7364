"""What the requests of a batch used together, as their answers say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from server.core.money import ZERO


@dataclass(slots=True)
class BatchUsage:
    """Tokens, and the credits that were paid for all of it. Mutable: each answer is added when it comes."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    credits: Decimal = ZERO

    def add(self, usage: object) -> None:
        """usage: of an answer of any endpoint; what it does not name counts as none."""
        if not isinstance(usage, Mapping):
            return
        self.input_tokens += _count(usage, "input_tokens", "prompt_tokens")
        self.output_tokens += _count(usage, "output_tokens", "completion_tokens")
        self.cached_tokens += _detail(usage, ("input_tokens_details", "prompt_tokens_details"), "cached_tokens")
        self.reasoning_tokens += _detail(
            usage, ("output_tokens_details", "completion_tokens_details"), "reasoning_tokens"
        )
        paid = usage.get("credits")
        if isinstance(paid, int | float):
            self.credits += Decimal(str(paid))  # the shortest text of a float that was written with nine places

    def row(self) -> dict[str, Any]:
        """As the batch object has it; credits as text, since a row is JSON."""
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": self.cached_tokens},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self.input_tokens + self.output_tokens,
            "credits": str(self.credits),
        }


def _count(usage: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int):
            return value
    return 0


def _detail(usage: Mapping[str, Any], groups: tuple[str, ...], name: str) -> int:
    for group in groups:
        details = usage.get(group)
        if isinstance(details, Mapping):
            return _count(details, name)
    return 0
