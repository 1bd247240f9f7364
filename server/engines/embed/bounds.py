"""What a request may ask of an encoder, in the words of its refusals."""

from collections.abc import Sequence

from server.errors import ContextLengthExceeded, InvalidRequest

MOST_TOKENS = 300_000
"""Of all inputs of one request together, by the OpenAI API."""


def names_of(field: str, texts: Sequence[object]) -> list[str]:
    """What each of a field's texts is called in messages."""
    return [f"{field}[{place}]" for place in range(len(texts))] if len(texts) > 1 else [field]


def demand_few(tokens: int, field: str) -> None:
    """Raises InvalidRequest."""
    if tokens > MOST_TOKENS:
        message = f"Too many tokens: a request may have {MOST_TOKENS:,} in all, and this one has at least {tokens:,}."
        raise InvalidRequest(message, param=field, code="max_tokens_per_request")


def too_long(most: int, length: str, name: str) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"This model's maximum context length is {most} tokens, however '{name}' has {length}. Shorten it, or "
        "send truncate_prompt_tokens: -1 to have only as much of it read as the model reads at once.",
        param=name,
    )


def demand_dimensions(asked: int | None, size: int, able: Sequence[int]) -> None:
    """size: of the model's own vectors. able: lengths that they may be cut to. Raises InvalidRequest."""
    if asked is None or asked == size:
        return
    if not able:
        message = f"This model's vectors have {size} dimensions and were not trained to be cut."
        raise InvalidRequest(message, param="dimensions", code="unsupported_parameter")
    if asked not in able:
        whole = tuple(able) == tuple(range(1, len(able) + 1))
        words = f"1 to {able[-1]}" if whole else ", ".join(map(str, able))
        raise InvalidRequest(f"Invalid value for 'dimensions': this model can do {words}.", param="dimensions")
