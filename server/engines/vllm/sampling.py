"""How tokens are drawn, in the words of vLLM's requests. No vLLM is imported for it."""

from typing import TYPE_CHECKING, Any

from server.core import Sampling

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams


def fields(job: Sampling) -> dict[str, Any]:
    """What vLLM's requests for chats and for completions call alike."""
    return {
        "n": job.n,
        "stream": True,
        "stop": list(job.stop),
        "seed": job.seed,
        "temperature": job.temperature,
        "top_p": job.top_p,
        "top_k": job.top_k,
        "min_p": job.min_p,
        "repetition_penalty": job.repetition_penalty,
        "frequency_penalty": job.frequency_penalty,
        "presence_penalty": job.presence_penalty,
        "min_tokens": job.min_tokens or 0,
        "ignore_eos": job.ignore_eos,
        "logit_bias": {str(token): bias for token, bias in job.logit_bias.items()} if job.logit_bias else None,
    }


def lower(sampling: "SamplingParams", most: int) -> None:
    """Let each answer have `most` tokens at most."""
    sampling.max_tokens = min(sampling.max_tokens or most, most)
    sampling.min_tokens = min(sampling.min_tokens, sampling.max_tokens)
