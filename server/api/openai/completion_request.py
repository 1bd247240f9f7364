"""The body of POST /completions, and its translation into a CompletionJob.

Fields and limits follow the OpenAI API reference, then vLLM's server. Fields that are not named here are ignored.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from server.api.openai.sampling_request import REFUSED, SamplingRequest, TokenId
from server.core import CompletionJob
from server.errors import InvalidRequest

DEFAULT_LIMIT = 16
"""Tokens of an answer whose limit the client left open: the OpenAI API's own default of this endpoint."""
MOST_PROMPTS = 1024
"""Prompts of one request: as many as vLLM's server takes (VLLM_MAX_COMPLETION_PROMPTS)."""
MOST_CHOICES = 4096
"""Choices of all prompts together, those that `best_of` draws included."""

StrictId = Annotated[TokenId, Field(strict=True)]
Prompt = str | list[str] | list[StrictId] | list[Annotated[list[StrictId], Field(min_length=1)]]


class CompletionRequest(SamplingRequest):
    model: str = Field(min_length=1)
    prompt: Prompt = ""
    suffix: str | None = None
    max_tokens: int | None = Field(None, ge=0)
    echo: bool = False
    logprobs: int | None = Field(None, ge=0, le=5)
    best_of: int | None = Field(None, ge=1, le=128)
    # vLLM's
    add_special_tokens: bool = True
    truncate_prompt_tokens: int | None = Field(None, ge=-1)
    truncation_side: Literal["left"] | None = None

    refused: ClassVar[Mapping[str, tuple[tuple[Any, ...], str]]] = {
        **REFUSED,
        "prompt_embeds": (([],), "Prompts are text or token ids here."),
    }

    def job(self) -> CompletionJob:
        """Raises InvalidRequest for what single fields can't tell."""
        prompts = self._prompts()
        self._check(len(prompts))
        sampling = self.sampling() | {
            "truncate_prompt_tokens": self.truncate_prompt_tokens,
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
