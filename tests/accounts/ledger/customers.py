"""Those who pay in tests, and what they use."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

from server.accounts.ledger.terms import Use
from server.core import Caller, Usage

Customer = Callable[[str], Awaitable[Caller]]
D = Decimal


def use(prompt: int = 10, completion: int = 25, model: str = "gpt-4o") -> Use:
    return Use(model, "smollm2", "chat", Usage(prompt_tokens=prompt, completion_tokens=completion))
