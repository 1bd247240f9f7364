"""The body of POST /completions, and its translation into a CompletionJob.

Fields and limits follow the OpenAI API reference, then vLLM's server. Fields that are not named here are ignored.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from server.api.openai.sampling_request import SamplingRequest, StreamOptions
from server.core import CompletionJob
from server.errors import InvalidRequest

DEFAULT_LIMIT = 16
"""Tokens of an answer whose limit the client left open: the OpenAI API's own default of this endpoint."""
MOST_PROMPTS = 1024
"""Prompts of one request: as many as vLLM's server takes (VLLM_MAX_COMPLETION_PROMPTS)."""
MOST_CHOICES = 4096
"""Choices of all prompts together, those that `best_of` draws included."""

TokenId = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
Prompt = str | list[str] | list[TokenId] | list[Annotated[list[TokenId], Field(min_length=1)]]


class CompletionStreamOptions(StreamOptions):
    continuous_usage_stats: bool | None = False


class CompletionRequest(SamplingRequest):
    model: str = Field(min_length=1)
    prompt: Prompt = ""
    suffix: str | None = None
    max_tokens: int | None = Field(None, ge=0)
    echo: bool = False
    logprobs: int | None = Field(None, ge=0, le=5)
    best_of: int | None = Field(None, ge=1, le=128)
    stream_options: CompletionStreamOptions | None = None
    # vLLM's
    add_special_tokens: bool = True
    prompt_logprobs: int | None = Field(None, ge=0, le=20)
    truncate_prompt_tokens: int | None = Field(None, ge=-1)
    truncation_side: Literal["left"] | None = None
    return_token_ids: bool = False
    return_tokens_as_token_ids: bool = False
    use_beam_search: bool = False
    prompt_embeds: Any = None
    logprob_token_ids: Any = None

    @property
    def continuous_usage(self) -> bool:
        """Whether each chunk says what was used so far."""
        return self.include_usage and bool(self.stream_options and self.stream_options.continuous_usage_stats)

    def job(self) -> CompletionJob:
        """Raises InvalidRequest for what single fields can't tell."""
        prompts = self._prompts()
        self._check(len(prompts))
        sampling = self.sampling() | {
            "prompt_logprobs": self.prompt_logprobs,
            "truncate_prompt_tokens": self.truncate_prompt_tokens,
            "token_ids": self.return_token_ids,
            "max_tokens": DEFAULT_LIMIT if self.max_tokens is None else self.max_tokens,
            "top_logprobs": self.logprobs,
        }
        return CompletionJob(
            **sampling,
            prompts=prompts,
            suffix=self.suffix or None,
            echo=self.echo,
            best_of=self.best_of,
            add_special_tokens=self.add_special_tokens,
        )

    def _prompts(self) -> tuple[str | tuple[int, ...], ...]:
        prompt = self.prompt
        if isinstance(prompt, str):
            return (prompt,)
        if not prompt:
            raise InvalidRequest("Invalid value for 'prompt': an empty array.", param="prompt")
        if isinstance(prompt[0], int):
            return (tuple(prompt),)
        if len(prompt) > MOST_PROMPTS:
            raise InvalidRequest(
                f"A request may have {MOST_PROMPTS} prompts at most, not {len(prompt)}.", param="prompt"
            )
        return tuple(one if isinstance(one, str) else tuple(one) for one in prompt)

    def _check(self, prompts: int) -> None:
        drawn = self.n
        if self.best_of is not None:
            if self.best_of < self.n:
                raise InvalidRequest("best_of must be n or more.", param="best_of")
            if self.stream and self.best_of > self.n:
                raise InvalidRequest("The best of several choices can't be streamed.", param="best_of")
            drawn = self.best_of
        if prompts * drawn > MOST_CHOICES:
            raise InvalidRequest(
                f"{prompts} prompts with {drawn} choices each are more than {MOST_CHOICES} choices.",
                param="n" if self.best_of is None else "best_of",
            )
        if self.suffix:
            for field, given in (("echo", self.echo), ("truncate_prompt_tokens", self.truncate_prompt_tokens)):
                if given:
                    raise InvalidRequest(f"{field} can't be combined with suffix.", param=field)
        if self.truncate_prompt_tokens == 0:
            raise InvalidRequest("truncate_prompt_tokens must be -1, or 1 and more.", param="truncate_prompt_tokens")
        for field in ("use_beam_search", "prompt_embeds", "logprob_token_ids"):
            if getattr(self, field):
                raise InvalidRequest(f"{field} is not supported.", param=field, code="unsupported_parameter")
