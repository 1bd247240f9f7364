"""How tokens are drawn, in the words of vLLM's requests, and what vLLM itself finds wrong with them.

vLLM looks at some fields when a request is made, at others when it is added, and at some no sooner than in its core,
which ends over them. Here all of it is looked at before anything runs.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from server.core import Sampling
from server.engines.vllm import refusals, releases
from server.errors import InvalidRequest

if TYPE_CHECKING:
    from vllm.sampling_params import SamplingParams

MOST_BAD_WORD_TOKENS = 1024
"""Tokens of all `bad_words` together, by vLLM's default. Its model runner for GPUs looks no sooner than in the core
(vllm/v1/worker/gpu/sample/bad_words.py)."""
MOST_STOP_TOKENS = 128
"""Tokens that end an answer, the model's own among them, likewise (vllm/v1/worker/gpu/sample/logit_bias.py)."""
LARGEST_SEED = 2**63 - 1
LONGEST_LOOP = 128
"""Tokens of what is repeated where `end_loops` is asked for."""
MOST_TURNS = 24
"""How often it may stand in a row: no table, no poem and no row of dashes comes near."""


class Request(Protocol):
    """What vLLM's requests for chats and for completions have in common."""

    def to_sampling_params(self, max_tokens: int, default_sampling_params: dict[str, Any]) -> "SamplingParams": ...


def fields(job: Sampling) -> dict[str, Any]:
    """What vLLM's requests for chats and for completions call alike, but for `n`: see `parameters`."""
    return {
        "stream": True,
        "stop": list(job.stop),
        "stop_token_ids": list(job.stop_token_ids),
        "include_stop_str_in_output": job.include_stop_str_in_output,
        "skip_special_tokens": job.skip_special_tokens,
        "spaces_between_special_tokens": job.spaces_between_special_tokens,
        "allowed_token_ids": None if job.allowed_token_ids is None else list(job.allowed_token_ids),
        # vLLM gives choice i the seed + i, and its model runner for GPUs keeps it in 64 bits.
        "seed": None if job.seed is None else min(job.seed, LARGEST_SEED - job.n + 1),
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
        "cache_salt": job.cache_salt,
    }


def parameters(request: Request, job: Sampling, most: int, defaults: dict[str, Any]) -> "SamplingParams":
    """The request's sampling parameters; `n` of them is 1 where all answers are alike, and the job's otherwise.

    most: tokens that each answer may have. defaults: as `model_defaults` gives them. Raises InvalidRequest.
    """
    if (job.min_tokens or 0) > most:
        raise InvalidRequest(f"min_tokens is {job.min_tokens}, but the answer has room for {most}.", param="min_tokens")
    try:
        drawn = request.to_sampling_params(most, defaults)
    except releases.REFUSALS as error:
        raise refusals.of_request(error) from None
    if drawn.structured_outputs is not None:
        # A form has an end of its own, which vLLM keeps; after it, it writes whatever comes.
        for name, asked in (("ignore_eos", job.ignore_eos), ("min_tokens", (job.min_tokens or 0) > 1)):
            if asked:
                raise InvalidRequest(f"{name} can't be kept where the answer must have a form.", param=name)
    # The request says none of these two: vLLM refuses several greedy choices and, in a stream, logprobs of the prompt.
    if drawn.temperature > 0:
        drawn.n = job.n
    if job.end_loops and drawn.structured_outputs is None:
        from vllm.sampling_params import RepetitionDetectionParams

        drawn.repetition_detection = RepetitionDetectionParams(
            max_pattern_size=LONGEST_LOOP, min_pattern_size=1, min_count=MOST_TURNS
        )
    if job.prompt_logprobs is not None:
        drawn.prompt_logprobs = job.prompt_logprobs
        # What is found in the cache is not computed again, and has no log-probabilities.
        drawn.skip_reading_prefix_cache = True
    return drawn


def check(drawn: "SamplingParams", job: Sampling, processor: Any) -> None:
    """What vLLM's input processor looks at only when the request is added, and its core thereafter.

    Raises InvalidRequest.
    """
    if job.bad_words:
        # vLLM's own reading is replaced: it leaves the word in the middle of a text out where that has another number
        # of tokens than the word at its beginning, as " Tokyo" has. Where there are no words, it reads none.
        drawn._bad_words_token_ids = _sequences(job.bad_words, processor.tokenizer)
        drawn.bad_words = []
    if job.stop_token_ids:
        own = _ids(processor.generation_config_fields.get("eos_token_id"))
        if len({*job.stop_token_ids, *own}) + 1 > MOST_STOP_TOKENS:
            message = f"At most {MOST_STOP_TOKENS - len(own) - 1} stop_token_ids may be given to this model."
            raise InvalidRequest(message, param="stop_token_ids")


def _sequences(words: Iterable[str], tokenizer: Any) -> list[list[int]]:
    """The tokens of each word, at the beginning of a text and after a space. Raises InvalidRequest.

    Only the last token of a sequence is forbidden, and only after the others.
    """
    found: dict[tuple[int, ...], None] = {}
    for word in words:
        forms = [tokenizer.encode(space + word.lstrip(), add_special_tokens=False) for space in ("", " ")]
        if not forms[0]:
            raise InvalidRequest("The bad_words hold one without a token, such as spaces alone.", param="bad_words")
        found |= dict.fromkeys(tuple(form) for form in forms if form)
    if (tokens := sum(map(len, found))) > MOST_BAD_WORD_TOKENS:
        message = f"The bad_words have {tokens} tokens, with and without a space before them; the limit is "
        raise InvalidRequest(f"{message}{MOST_BAD_WORD_TOKENS}.", param="bad_words")
    return [list(sequence) for sequence in found]


def named(error: Exception, job: Sampling) -> str | None:
    """The field that vLLM's check of the parameters is about; None where it is about the answer's form.

    error: one of `releases.REFUSALS`.
    """
    if parameter := getattr(error, "parameter", None):
        return str(parameter)
    if job.output_schema is not None or job.constraint is not None:
        return None
    # With drafted tokens vLLM can do neither of these, and doesn't say which was asked for.
    return next((name for name in ("min_p", "logit_bias") if getattr(job, name)), None)


def lower(sampling: "SamplingParams", most: int) -> None:
    """Let each answer have `most` tokens at most."""
    sampling.max_tokens = min(sampling.max_tokens or most, most)
    sampling.min_tokens = min(sampling.min_tokens, sampling.max_tokens)


# ---------------------------------------------------------------- the model's own defaults


def model_defaults(said: Mapping[str, Any], *, speculative: bool = False) -> tuple[dict[str, Any], list[str]]:
    """The defaults of a model's generation_config.json that can be kept, and of each other one what is wrong with it.

    One that can't be kept would make every request that is silent about it fail. speculative: whether tokens are
    drafted, which vLLM can't do with `min_p`.
    """
    kept: dict[str, Any] = {}
    wrong: list[str] = []
    for name, value in said.items():
        low, high, above_low = _RANGES.get(name, (-math.inf, math.inf, False))
        whole = name in ("top_k", "max_tokens")
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            wrong.append(f"{name}: {value!r} is no {'whole number' if whole else 'number'}")
        elif not math.isfinite(value) or not low <= value <= high or (above_low and value == low):
            wrong.append(f"{name}: {value!r} is not {_range(low, high, above_low)}")
        elif name == "min_p" and value > 0 and speculative:
            wrong.append("min_p: vLLM can't keep it where tokens are drafted")
        else:
            kept[name] = value
    return kept, wrong


_RANGES: Mapping[str, tuple[float, float, bool]] = {
    "temperature": (0, 2, False),
    "top_p": (0, 1, True),
    "top_k": (-1, math.inf, False),
    "min_p": (0, 1, False),
    "repetition_penalty": (0, math.inf, True),
    "presence_penalty": (-2, 2, False),
    "frequency_penalty": (-2, 2, False),
    "max_tokens": (1, math.inf, False),
}
"""Of each default the least and the most that vLLM takes, and whether it must be more than the least."""


def _range(low: float, high: float, above_low: bool) -> str:
    words = [f"above {low:g}" if above_low else f"at least {low:g}"] if low > -math.inf else []
    return " and ".join([*words, f"at most {high:g}"] if high < math.inf else words)


def end_tokens(said: Any, vocabulary: int) -> tuple[list[int], list[str]]:
    """The `eos_token_id` of a generation_config.json that can be kept, and what is wrong with the rest.

    said: a number or a list of them; whatever else it is. vocabulary: how many tokens the model knows. One beyond it
    ends vLLM's core at the first request with `min_tokens`.
    """
    kept = [token for token in _ids(said) if 0 <= token < vocabulary]
    given = said if isinstance(said, list | tuple) else [] if said is None else [said]
    if wrong := [token for token in given if token not in kept or isinstance(token, bool)]:
        return kept, [f"eos_token_id: {wrong!r} is no token of this model"]
    return kept, []


def _ids(said: Any) -> list[int]:
    given = said if isinstance(said, list | tuple) else [said]
    return [token for token in given if isinstance(token, int) and not isinstance(token, bool)]
