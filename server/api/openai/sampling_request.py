"""How tokens are drawn: what the bodies of chats and of completions have in common."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from server.api.openai.form_request import FormRequest
from server.api.openai.quality import QualityField
from server.api.validation import Body
from server.core import Priority
from server.errors import InvalidRequest

MOST_BIASES = 1024
"""Entries of `logit_bias`, and ids of `allowed_token_ids`: what vLLM's model runner for GPUs has room for. It looks no
sooner than in the engine's core, which ends over one more (vllm/v1/worker/gpu/sample/logit_bias.py)."""
MOST_BAD_WORDS = 64
"""Each may be two sequences of tokens, with a space before it and without: vLLM has room for 128."""
MOST_STOP_TOKENS = 64
"""Half of what vLLM has room for: the model's own are among them."""
LONGEST_WORD = 256
"""Characters of a bad word."""

LONGEST_STOP = 1024
"""Characters of a stop sequence. Each is looked for in the text after every token."""

MOST_SALT = 128
SALT = r"^[^@/\\\x00]*$"
"""As vLLM takes salts: they become parts of keys and of paths (vllm/entrypoints/generate/base/protocol.py)."""

TokenId = Annotated[int, Field(ge=0, lt=2**31)]

REFUSED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "use_beam_search": ((False,), "Beam search is not supported; `best_of` of /v1/completions and `n` draw several."),
    "length_penalty": ((1, 1.0), "length_penalty belongs to beam search, which is not supported."),
    "early_stopping": ((False,), "early_stopping belongs to beam search, which is not supported."),
    "logits_processors": (([],), "A request can't bring its own logits processors."),
    "logprob_token_ids": (([],), "logprob_token_ids is not supported; use top_logprobs."),
    "thinking_token_budget": ((), "thinking_token_budget is not supported; use reasoning_effort or max_tokens."),
    "repetition_detection": ((), "repetition_detection is not supported; use repetition_penalty."),
    "watermarking": ((False,), "Answers are not watermarked here."),
    "vllm_xargs": (({},), "No extension that reads vllm_xargs is installed."),
    "kv_transfer_params": (({},), "The KV cache is not passed between servers here."),
    "ec_transfer_params": (({},), "The encoder's cache is not passed between servers here."),
    "return_prompt_text": (
        (False,),
        "return_prompt_text is not supported; return_token_ids tells the prompt's tokens.",
    ),
}
"""What vLLM's users may send and we don't do, and why: a 400 by its name, unless it has one of these values, which ask
for nothing."""


class StreamOptions(Body):
    """continuous_usage_stats: usage in every chunk, where it is included at all."""

    include_usage: bool | None = False
    continuous_usage_stats: bool | None = False


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SamplingRequest(FormRequest):
    """Lists that are defaults come from factories: of others, pydantic makes deep copies, in half of the time that a
    plain request took.

    refused: fields that the body may not have, as REFUSED has them.
    """

    refused: ClassVar[Mapping[str, tuple[tuple[Any, ...], str]]] = REFUSED

    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    n: int = Field(1, ge=1, le=128)
    stop: Annotated[
        list[Annotated[str, Field(max_length=LONGEST_STOP)]], Field(max_length=4), BeforeValidator(_listed)
    ] = Field(default_factory=list)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: dict[int, Annotated[float, Field(ge=-100, le=100)]] | None = Field(None, max_length=MOST_BIASES)
    stream: bool = False
    stream_options: StreamOptions | None = None
    quality: QualityField = None
    # vLLM's, which its users send in the body
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=2)
    min_tokens: int | None = Field(None, ge=0)
    ignore_eos: bool = False
    stop_token_ids: list[TokenId] | None = Field(None, max_length=MOST_STOP_TOKENS)
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    bad_words: list[Annotated[str, Field(min_length=1, max_length=LONGEST_WORD)]] | None = Field(
        None, max_length=MOST_BAD_WORDS
    )
    allowed_token_ids: list[TokenId] | None = Field(None, min_length=1, max_length=MOST_BIASES)
    prompt_logprobs: int | None = Field(None, ge=0, le=20)
    cache_salt: str | None = Field(None, min_length=1, max_length=MOST_SALT, pattern=SALT)
    return_token_ids: bool = False
    return_tokens_as_token_ids: bool = False
    priority: int = Field(0, ge=0, lt=2**63)

    @model_validator(mode="before")
    @classmethod
    def _refuse_by_name(cls, data: dict[str, Any]) -> dict[str, Any]:
        for name in data.keys() & cls.refused:
            neutral, why = cls.refused[name]
            if data[name] not in neutral:
                raise InvalidRequest(why, param=name, code="unsupported_parameter")
        return data

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def continuous_usage(self) -> bool:
        return self.include_usage and bool(self.stream_options and self.stream_options.continuous_usage_stats)

    @property
    def queued(self) -> Priority | None:
        """vLLM's `priority` in the classes that there are: the higher it is, the later. Clients may only step back: 0
        is what it is without the field, the key's class."""
        return Priority.BACKGROUND if self.priority > 0 else None

    def check_least(self, most: int | None) -> None:
        """most: tokens that the answer may have. Raises InvalidRequest where it must have more of them."""
        if self.min_tokens and most and self.min_tokens > most:
            raise InvalidRequest(
                f"min_tokens is {self.min_tokens}, which is above the limit of {most} tokens.", param="min_tokens"
            )

    def sampling(self) -> dict[str, Any]:
        """The fields of `server.core.Sampling` that the client gave. Raises InvalidRequest."""
        if self.stream_options is not None and not self.stream:
            raise InvalidRequest("stream_options is only allowed when stream is true.", param="stream_options")
        greedy = self.top_p == 0  # nothing but the likeliest token is left to draw from
        drawn = {
            "temperature": 0.0 if greedy else self.temperature,
            "top_p": None if greedy else self.top_p,
            "n": self.n,
            "stop": tuple(stop for stop in self.stop if stop),
            "seed": self.seed,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "logit_bias": self.logit_bias or None,
            **self.form(),
        }
        # Most clients know none of these: what they leave out is not copied for each request.
        return drawn | self._of_vllm() if self.model_fields_set & OF_VLLM else drawn

    def _of_vllm(self) -> dict[str, Any]:
        return {
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "min_tokens": self.min_tokens,
            "ignore_eos": self.ignore_eos,
            "stop_token_ids": tuple(self.stop_token_ids or ()),
            "include_stop_str_in_output": self.include_stop_str_in_output,
            "skip_special_tokens": self.skip_special_tokens,
            "spaces_between_special_tokens": self.spaces_between_special_tokens,
            "bad_words": tuple(self.bad_words or ()),
            "allowed_token_ids": tuple(self.allowed_token_ids) if self.allowed_token_ids is not None else None,
            "prompt_logprobs": self.prompt_logprobs,
            "cache_salt": self.cache_salt,
            "token_ids": self.return_token_ids,
        }


OF_VLLM = frozenset(
    (
        *("top_k", "min_p", "repetition_penalty", "min_tokens", "ignore_eos", "stop_token_ids"),
        *("include_stop_str_in_output", "skip_special_tokens", "spaces_between_special_tokens", "bad_words"),
        *("allowed_token_ids", "prompt_logprobs", "cache_salt", "return_token_ids"),
    )
)
"""The fields that `SamplingRequest` copies where one of them was sent."""
