"""What differs between the releases of vLLM that this code runs on, 0.26 to 0.32, under one name each.

0.32 is what the locks hold; 0.26 wants torch 2.11, which a machine with packages of its own may have.
"""

import asyncio
from typing import Any

try:
    from vllm.exceptions import VLLMClientError

    CLIENT_ERRORS: tuple[type[Exception], ...] = (VLLMClientError,)
    """What vLLM raises for a request that is wrong."""
except ImportError:  # 0.26 had no class above them
    from vllm.exceptions import VLLMNotFoundError, VLLMUnprocessableEntityError, VLLMValidationError

    CLIENT_ERRORS = (VLLMValidationError, VLLMNotFoundError, VLLMUnprocessableEntityError)

try:
    from vllm.entrypoints.serve.engine.protocol import ErrorResponse
except ImportError:
    from vllm.entrypoints.openai.engine.protocol import ErrorResponse

try:
    from vllm.renderers.chat_utils import load_chat_template
except ImportError:
    from vllm.entrypoints.chat_utils import load_chat_template

REFUSALS: tuple[type[Exception], ...] = (*CLIENT_ERRORS, ValueError)
"""What its checks of sampling parameters raise."""

__all__ = [
    "CLIENT_ERRORS",
    "REFUSALS",
    "ErrorResponse",
    "between_steps",
    "load_chat_template",
    "mistral",
    "reasoning_ended",
    "reasoning_tokens",
    "template_kwargs",
    "unfinished",
    "warmup",
]


def mistral(tokenizer: Any) -> bool:
    """Whether it is one of mistral-common's, which writes chats by itself."""
    kind = type(tokenizer)
    return bool(getattr(kind, "IS_MISTRAL_TOKENIZER", False)) or kind.__name__ == "MistralTokenizer"


def warmup(renderer: Any) -> None:
    """Compile the chat template and load the tokenizer, before the first request does."""
    if hasattr(renderer, "warmup"):
        renderer.warmup()


def template_kwargs(renderer: Any, request: Any) -> dict[str, Any]:
    """What the chat template is given for the request beside its messages and tools."""
    if hasattr(renderer, "effective_chat_template_kwargs"):
        found = renderer.effective_chat_template_kwargs(request)
    else:
        params = request.build_chat_params(renderer.chat_template, renderer.chat_template_content_format)
        found = params.with_defaults(renderer.default_chat_template_kwargs).chat_template_kwargs
    return dict(found)


def reasoning_ended(request: Any, parser: Any, prompt_token_ids: list[int]) -> bool | None:
    """Whether a grammar binds the answer from its first token on; None lets the engine look at the prompt itself."""
    if hasattr(request, "resolve_reasoning_ended"):
        ended: bool | None = request.resolve_reasoning_ended(parser, prompt_token_ids)
        return ended
    # As in 0.26's OpenAIServingChat (vllm/entrypoints/openai/chat_completion/serving.py).
    if not request.include_reasoning or request._grammar_from_tool_parser:
        return True
    if parser is None or parser.reasoning_parser is None:
        return None
    return bool(parser.is_reasoning_end(prompt_token_ids))


def reasoning_tokens(parser: Any, token_ids: list[int]) -> int:
    """How many of an answer's tokens are reasoning."""
    counter = parser if hasattr(parser, "count_reasoning_tokens") else parser.reasoning_parser
    return 0 if counter is None else int(counter.count_reasoning_tokens(token_ids))


async def between_steps(llm: Any) -> None:
    """Return when each core of the AsyncLLM has come to the end of its step. Raises what vLLM raises of a dead one."""
    client = llm.engine_core
    await asyncio.gather(*(client._call_utility_async("is_sleeping", engine=core) for core in client.core_engines))


def unfinished(llm: Any) -> int:
    """Requests that the AsyncLLM has not finished or aborted."""
    counter = llm if hasattr(llm, "get_num_unfinished_requests") else llm.output_processor
    return int(counter.get_num_unfinished_requests())
