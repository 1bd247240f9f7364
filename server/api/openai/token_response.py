"""Tokens as JSON: the ids and log-probabilities of what was said, and of the prompt."""

from collections.abc import Iterable
from typing import Any

from server.core import Job, PromptTokens, Sampling, TokenLogprob


def logprobs_of(entries: Iterable[TokenLogprob], *, as_ids: bool) -> dict[str, Any]:
    """The `logprobs` of a chat's choice. as_ids: tokens are written as `token_id:7`, as vLLM has it."""
    return {"content": tokens_of(entries, as_ids=as_ids), "refusal": None}


def tokens_of(entries: Iterable[TokenLogprob], *, as_ids: bool = False) -> list[dict[str, Any]]:
    """Tokens with their log-probabilities and the likeliest at their places."""
    return [
        {**_token(entry, as_ids), "top_logprobs": [_token(other, as_ids) for other in entry.top]} for entry in entries
    ]


def _token(entry: TokenLogprob, as_ids: bool) -> dict[str, Any]:
    text = f"token_id:{entry.id}" if as_ids else entry.token
    return {"token": text, "logprob": entry.logprob, "bytes": list(entry.bytes)}


def prompt_read(event: PromptTokens, job: Job) -> dict[str, Any]:
    """What vLLM's answers say of the prompt, as far as the job asks for it."""
    assert isinstance(job, Sampling)
    said: dict[str, Any] = {"prompt_token_ids": event.ids} if job.token_ids else {}
    if event.logprobs is not None:
        said["prompt_logprobs"] = [prompt_logprob(entry) for entry in event.logprobs]
    return said


def prompt_logprob(entry: TokenLogprob | None, top: int | None = None) -> dict[str, Any] | None:
    """By the ids of the tokens, the prompt's own first; null for the first token, which nothing stands before.

    top: how many alternatives, where fewer were asked for than are known.
    """
    if entry is None:
        return None
    return {
        str(one.id): {"logprob": one.logprob, "rank": one.rank, "decoded_token": one.token}
        for one in (entry, *entry.top[:top])
    }
