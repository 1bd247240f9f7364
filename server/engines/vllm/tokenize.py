"""Text to token ids and back, by the model's tokenizer and chat template. Nothing of it reaches vLLM's core."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

from vllm.renderers import TokenizeParams
from vllm.renderers.online_renderer import OnlineRenderer

from server.core import CompletionJob, Detokenized, DetokenizeJob, Event, Facts, Tokenized, TokenizeJob, Usage
from server.engines.vllm import prompt as prompts
from server.engines.vllm import refusals, releases
from server.errors import InvalidRequest

MOST_CHARACTERS = 1_000_000
"""Of a text to tokenize. It may be longer than the context, but the tokenizer's threads serve all requests."""


class TokenizeReading:
    """event: the answer, which is known once the job is read."""

    facts = Facts()
    unread = cached = 0

    def __init__(self, event: Tokenized | Detokenized) -> None:
        self._event = event

    async def run(self, limit: int | None = None) -> AsyncGenerator[Event, None]:  # noqa: ARG002 - nothing is generated
        yield self._event
        yield Usage()

    async def aclose(self) -> None:
        """Nothing is open."""


async def read(
    job: TokenizeJob | DetokenizeJob, renderer: OnlineRenderer, defaults: dict[str, Any], *, pictures: bool
) -> TokenizeReading:
    """Raises InvalidRequest, ContextLengthExceeded (of chats: their template is for prompts that fit)."""
    if isinstance(job, DetokenizeJob):
        return TokenizeReading(Detokenized(await _text(job.ids, renderer)))
    if isinstance(job.of, CompletionJob):
        ids = await _of_text(job.of, renderer)
    else:
        rendered = await prompts.render(replace(job.of, max_tokens=None), renderer, defaults, pictures=pictures)
        ids = rendered.input.get("prompt_token_ids") or []
    strings = None
    if job.strings:
        strings = tuple(map(str, renderer.renderer.get_tokenizer().convert_ids_to_tokens(list(ids))))
    return TokenizeReading(Tokenized(tuple(ids), renderer.model_config.max_model_len, strings))


@dataclass(frozen=True, slots=True)
class _AnyLength:
    """What vLLM's renderer wants of a request, for a text that no answer has to follow."""

    add_special_tokens: bool

    def build_tok_params(self, model_config: Any) -> TokenizeParams:  # noqa: ARG002 - the context does not matter
        return TokenizeParams(max_total_tokens=None, add_special_tokens=self.add_special_tokens)


async def _of_text(job: CompletionJob, renderer: OnlineRenderer) -> list[int]:
    (prompt,) = job.prompts
    assert isinstance(prompt, str)
    if len(prompt) > MOST_CHARACTERS:
        raise InvalidRequest(f"The prompt is longer than {MOST_CHARACTERS} characters.", param="prompt")
    if not prompt:
        return []
    try:
        (rendered,) = await renderer.preprocess_completion(_AnyLength(job.add_special_tokens), prompt, None)
    except releases.CLIENT_ERRORS as error:
        raise refusals.of_request(error, "prompt") from None
    ids: list[int] = rendered["prompt_token_ids"]
    return ids


async def _text(ids: tuple[int, ...], renderer: OnlineRenderer) -> str:
    if not ids:
        return ""
    tokenizer = renderer.renderer.get_tokenizer()
    if max(ids) > tokenizer.max_token_id:
        message = f"Token id {max(ids)} is not in the model's vocabulary, 0 to {tokenizer.max_token_id}."
        raise InvalidRequest(message, param="tokens")
    params = TokenizeParams(max_total_tokens=None, needs_detokenization=True)
    told = await renderer.renderer.tokenize_prompt_async({"prompt_token_ids": list(ids)}, params)
    text: str = told["prompt"]
    return text
