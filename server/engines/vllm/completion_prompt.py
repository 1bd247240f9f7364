"""Raw prompts in vLLM's words: tokenized, with the parameters by which they go on."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.renderers.online_renderer import OnlineRenderer
from vllm.sampling_params import RequestOutputKind, SamplingParams

from server.core import CompletionJob
from server.engines.vllm import apart, grammar, refusals, releases, sampling
from server.errors import ContextLengthExceeded, InvalidRequest

Fim = tuple[str, str, str]
"""What a model with fill-in-the-middle has before the text that is there, before what comes after, and at the end."""


@dataclass(frozen=True, slots=True)
class CompletionPrompt:
    """A prompt that is ready for the engine.

    text: to be echoed, None where it is not asked for. copies: how many choices each answer stands for.
    """

    input: Any
    sampling: SamplingParams
    ids: tuple[int, ...]
    text: str | None
    copies: int


async def render(
    job: CompletionJob, renderer: OnlineRenderer, defaults: dict[str, Any], *, fim: Fim | None = None
) -> list[CompletionPrompt]:
    """Tokenize the prompts. Raises InvalidRequest, ContextLengthExceeded.

    defaults: the model's own sampling parameters, by `sampling.model_defaults`. fim: None where the model has no
    fill-in-the-middle that is configured.
    """
    _check(job, renderer)
    try:
        body = await apart.apart(partial(_request_body, job)) if grammar.binds(job) else _request_body(job)
        request = CompletionRequest.model_validate(body)
        inputs = await renderer.preprocess_completion(
            request, [_prompt(prompt, job.suffix, renderer, fim) for prompt in job.prompts], None
        )
    except releases.CLIENT_ERRORS as error:
        raise _refused(error) from None
    return [_ready(job, number, rendered, request, renderer, defaults) for number, rendered in enumerate(inputs)]


def _ready(
    job: CompletionJob,
    number: int,
    rendered: Any,
    request: CompletionRequest,
    renderer: OnlineRenderer,
    defaults: dict[str, Any],
) -> CompletionPrompt:
    ids = tuple(rendered["prompt_token_ids"])
    context = renderer.model_config.max_model_len
    room = context - len(ids)
    if room < 1:
        raise ContextLengthExceeded(
            f"This model's maximum context length is {context} tokens. However, prompt {number} has {len(ids)} tokens. "
            "Please reduce its length.",
            param="prompt",
        )
    most = room if job.max_tokens is None else min(max(job.max_tokens, 1), room)
    if job.max_tokens == 0 and job.min_tokens:
        raise InvalidRequest("min_tokens is above max_tokens, which is 0.", param="min_tokens")
    parameters = sampling.parameters(request, job, most, defaults)
    parameters.prompt_logprobs = prompt_logprobs(job)
    if job.max_tokens == 0:
        parameters.n = 1  # where a prompt is only read, there is one reading of it
    parameters.output_kind = RequestOutputKind.DELTA
    text: str | None = None
    if job.echo:
        prompt = job.prompts[number]
        if isinstance(prompt, str) and job.truncate_prompt_tokens is None:
            text = prompt
        else:
            text = _tokenizer(renderer).decode(list(ids), skip_special_tokens=False)
    return CompletionPrompt(rendered, parameters, ids, text, job.n // parameters.n)


def _check(job: CompletionJob, renderer: OnlineRenderer) -> None:
    """Raises InvalidRequest for ids that the model does not have; the core would find them once it is at work."""
    tokenizer = _tokenizer(renderer)
    last = max(tokenizer.max_token_id, renderer.model_config.get_vocab_size() - 1)
    for prompt in job.prompts:
        if not isinstance(prompt, str) and max(prompt) > last:
            raise InvalidRequest(
                f"Token id {max(prompt)} is not in the model's vocabulary, 0 to {last}.", param="prompt"
            )


def _request_body(job: CompletionJob) -> dict[str, Any]:
    return {
        **sampling.fields(job),
        **grammar.fields(job),
        # In its place the prompts go to the renderer themselves: they may be texts and ids side by side.
        "prompt": "-",
        # The limit is reckoned with each prompt's length; 1 holds a place back where a prompt is truncated.
        "max_tokens": 1,
        # vLLM would refuse log-probabilities of the prompt in a stream, which its core can tell very well.
        "stream": False,
        "logprobs": job.top_logprobs,
        "prompt_logprobs": prompt_logprobs(job),
        "add_special_tokens": job.add_special_tokens,
        "truncate_prompt_tokens": job.truncate_prompt_tokens,
        "truncation_side": None if job.truncate_prompt_tokens is None else "left",
    }


def prompt_logprobs(job: CompletionJob) -> int | None:
    """How many alternatives to tell of each of the prompt's tokens; None for no log-probabilities of it at all."""
    asked = [job.prompt_logprobs, job.top_logprobs if job.echo else None]
    return max((count for count in asked if count is not None), default=None)


def _prompt(prompt: str | tuple[int, ...], suffix: str | None, renderer: OnlineRenderer, fim: Fim | None) -> Any:
    """What vLLM's renderer is given. Raises InvalidRequest."""
    if suffix is not None:
        if not isinstance(prompt, str):
            raise InvalidRequest("suffix needs prompts that are texts, not token ids.", param="suffix")
        whole = _filled(prompt, suffix, renderer, fim)
        if whole is None:
            raise InvalidRequest("This model has no fill-in-the-middle.", param="suffix", code="unsupported_parameter")
        return whole
    if prompt == "":
        tokenizer = _tokenizer(renderer)
        start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
        return [start]
    return prompt if isinstance(prompt, str) else list(prompt)


def _filled(prompt: str, suffix: str, renderer: OnlineRenderer, fim: Fim | None) -> str | None:
    if fim is not None:
        return f"{fim[0]}{prompt}{fim[1]}{suffix}{fim[2]}"
    own = getattr(renderer.renderer, "render_completion_suffix", None)  # vLLM knows how for a few models
    found: str | None = own(prompt, suffix) if own is not None else None
    return found


def _tokenizer(renderer: OnlineRenderer) -> Any:
    return renderer.renderer.get_tokenizer()


def _refused(error: Exception) -> InvalidRequest:
    found = refusals.of_request(error)
    if isinstance(found, ContextLengthExceeded):
        return ContextLengthExceeded(found.message, param="prompt")
    return found
