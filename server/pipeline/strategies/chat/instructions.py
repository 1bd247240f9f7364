"""What the server itself says to a chat model, in passes of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

Messages = tuple[Mapping[str, Any], ...]

INSTRUCTIONS = 200
"""Tokens that each of these texts has at most, by any tokenizer that knows English: plans count with it."""

VERDICT = 1
"""Tokens of a yes or no."""

OK = "OK"
"""What the self-check answers where the draft is good."""

CHECK = (
    "Check your answer above against every part of my request. If it is right and complete, reply with the single word "
    f"{OK}. If not, reply with the corrected answer only, as if it were your first one, without a word about the check."
)

JUDGE = "Is the answer above right, complete, and in the form that was asked for? Reply with the single word yes or no."

CRITIQUE = (
    "Review your answer above. List in short what is wrong or missing, point by point: facts, calculations, parts of "
    "my request that it leaves out, the form that I asked for. Do not write the answer again."
)

REWRITE = (
    "Now write the final answer to my request. Mend what the review found and keep what was good. Reply with the "
    "answer only, without a word about the review."
)


def followed(messages: Sequence[Mapping[str, Any]], *turns: str) -> Messages:
    """The conversation with further turns: the model's and the client's by turns, the model's first."""
    more = [{"role": ("assistant", "user")[i % 2], "content": turn} for i, turn in enumerate(turns)]
    return (*messages, *more)
