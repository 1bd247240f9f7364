"""How tokens are drawn: what the bodies of chats and of completions have in common."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from server.api.openai.form_request import FormRequest
from server.api.openai.quality import QualityField
from server.api.validation import Body
from server.errors import InvalidRequest

MOST_BIASES = 1024
"""Entries of `logit_bias`: what vLLM's model runner for GPUs has room for. It looks no sooner than in the engine's
core, which ends over one more (vllm/v1/worker/gpu/sample/logit_bias.py, MAX_NUM_LOGIT_BIAS_TOKENS)."""


class StreamOptions(Body):
    include_usage: bool | None = False


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SamplingRequest(FormRequest):
    """Lists that are defaults come from factories: of others, pydantic makes deep copies, in half of the time that a
    plain request took.
    """

    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int = Field(1, ge=1, le=128)
    stop: Annotated[list[str], Field(max_length=4), BeforeValidator(_listed)] = Field(default_factory=list)
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

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def sampling(self) -> dict[str, Any]:
        """The fields of `server.core.Sampling` that the client gave. Raises InvalidRequest."""
        if self.stream_options is not None and not self.stream:
            raise InvalidRequest("stream_options is only allowed when stream is true.", param="stream_options")
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "n": self.n,
            "stop": tuple(stop for stop in self.stop if stop),
            "seed": self.seed,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
            "logit_bias": self.logit_bias or None,
            **self.form(),
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "min_tokens": self.min_tokens,
            "ignore_eos": self.ignore_eos,
        }
