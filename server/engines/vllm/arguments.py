"""What a request may say of how its chat is written, and what its model's template makes of that."""

import inspect
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from jinja2.defaults import DEFAULT_NAMESPACE

from server.core import ChatJob
from server.engines.vllm import releases, template
from server.errors import InvalidRequest

OWNED = frozenset(
    ("messages", "model_config", "tokenizer", "self", "raise_exception", "strftime_now", *DEFAULT_NAMESPACE)
)
"""Names of the template that are the renderer's to set, besides those that `apply_chat_template` has as parameters and
the names of special tokens."""


def check(job: ChatJob, renderer: Any, tools: list[dict[str, Any]] | None) -> None:
    """Raises InvalidRequest for what a request may not set, and for what would be ignored.

    renderer: vLLM's OnlineRenderer. tools: the functions in the prompt, in vLLM's words.
    """
    if job.continue_final_message and (not job.messages or job.messages[-1]["role"] != "assistant"):
        raise InvalidRequest(
            "continue_final_message needs a last message of the role assistant.", param="continue_final_message"
        )
    arguments = job.chat_template_kwargs or {}
    if not arguments and not job.documents and not renderer.use_harmony:
        return
    owned = _owned() | set(_special(renderer))
    if taken := [name for name in arguments if name in owned]:
        raise InvalidRequest(f"chat_template_kwargs can't set {', '.join(taken)}.", param="chat_template_kwargs")
    if renderer.use_harmony:
        _check_harmony(job)
    if template.written_in_code(renderer):
        if job.documents:
            raise InvalidRequest("This model takes no documents.", param="documents")
        if arguments and releases.mistral(renderer.renderer.tokenizer):
            raise InvalidRequest("This model's chats are written without arguments.", param="chat_template_kwargs")
        return
    text = template.of(renderer, tools)
    if text is None:
        return  # vLLM says so
    # Arguments that the template does not read would change nothing, and vLLM leaves them out: clients send
    # `enable_thinking` to every model.
    if job.documents and "documents" not in template.reads(text):
        raise InvalidRequest(
            "This model's chat template does not read documents; put their text into a message.", param="documents"
        )


def _check_harmony(job: ChatJob) -> None:
    """vLLM writes such chats by code that knows none of these (online_renderer.py, _make_request_with_harmony)."""
    ignored = {
        "chat_template_kwargs": bool(job.chat_template_kwargs),
        "continue_final_message": job.continue_final_message,
        "add_generation_prompt": not job.add_generation_prompt,
        "truncate_prompt_tokens": job.truncate_prompt_tokens is not None,
    }
    for name, given in ignored.items():
        if given:
            raise InvalidRequest(f"This model's chats can't be written with {name}.", param=name)


@lru_cache(maxsize=1)
def _owned() -> frozenset[str]:
    from transformers import PythonBackend

    return OWNED | inspect.signature(PythonBackend.apply_chat_template).parameters.keys()


def _special(renderer: Any) -> Iterator[str]:
    """Under these names templates find special tokens, and a request's arguments would go before them."""
    tokenizer = renderer.renderer.tokenizer
    yield from ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
    yield from getattr(tokenizer, "special_tokens_map", ())
