"""What this server adds to the OpenAI API's usage objects: what was paid, and how the answer was made."""

from typing import Any

from server.pipeline.run import Run


def extras_of(run: Run, *, drafts: bool = False) -> dict[str, Any]:
    """`credits`, where the account is metered, and `quality`, as far as the run has come; with its drafts on request.

    Credits are a JSON number: up to 15 significant digits, more than a charge's nine places need, a double keeps
    exactly.
    """
    paid: dict[str, Any] = {} if run.credits is None else {"credits": float(run.credits)}
    return {**paid, "quality": {**run.quality, "drafts": run.drafts} if drafts else run.quality}
