"""Prompts that are not written in time, or need not be written at all, and what a client is told of others' code."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from vllm.exceptions import VLLMValidationError

from server.core import Tool
from server.engines.vllm import apart, prompt, refusals
from server.errors import ContextLengthExceeded, InvalidRequest, Overloaded
from tests.engines.vllm.test_refusals import job, renderer

pytestmark = pytest.mark.anyio


async def test_a_prompt_that_is_not_written_in_time_is_a_503_that_says_so() -> None:
    """It was a 500, for whoever waited behind a heavy one."""
    late = TimeoutError("Chat template rendering timed out after 30s. Adjust VLLM_CHAT_TEMPLATE_RENDER_TIMEOUT.")
    with pytest.raises(Overloaded) as refused:
        await prompt.render(job(), renderer(late), {})
    assert refused.value.message == "The prompt could not be written in time. Please try again shortly."
    assert "Retry-After" in refused.value.headers


async def test_texts_that_cannot_fit_are_refused_before_anybody_reads_them() -> None:
    never = renderer(AssertionError("the template was asked"))
    never.renderer = SimpleNamespace(tokenizer=SimpleNamespace(max_chars_per_token=10))  # and 100 tokens of context
    with pytest.raises(ContextLengthExceeded, match="your messages have 1001 characters") as refused:
        await prompt.render(job(messages=({"role": "user", "content": "x" * 1001},)), never, {})
    assert refused.value.param == "messages"


LEAKS = [
    "safe_apply_chat_template() got multiple values for argument 'conversation'",
    "HfRenderer.render() missing 1 required positional argument: 'messages'",
    "got an unexpected keyword argument 'self'",
    "unsupported operand type(s) for +: 'NoneType' and 'str'",
    "please set VLLM_CHAT_TEMPLATE_RENDER_TIMEOUT",
    "As of transformers v4.44, default chat template is no longer allowed",
    "<vllm.tokenizers.hf.CachedTokenizer object at 0x7f00>",
    "no such file '/opt/models/chat/template.jinja'",
    "x" * 5000,
]


@pytest.mark.parametrize("said", LEAKS)
@pytest.mark.parametrize("kind", [VLLMValidationError, ValueError])
async def test_names_of_internals_stay_here(kind: type[Exception], said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await prompt.render(job(), renderer(kind(said)), {})
    assert refused.value.message in (
        "The model can't take this request.",
        "The model's chat template refuses these messages.",
    )


@pytest.mark.parametrize(
    "said", ["Conversation roles must alternate user/assistant/user/assistant/...", "temperature must be non-negative"]
)
def test_what_is_said_to_a_client_is_passed_on(said: str) -> None:
    assert refusals.words(ValueError(said)) == said


@pytest.mark.parametrize(
    ("fields", "heavy"),
    [
        ({}, False),
        ({"messages": ({"role": "user", "content": "x" * (apart.LONG + 1)},)}, True),
        ({"messages": ({"role": "user", "content": [{"type": "text", "text": "x"}]},)}, True),
        ({"tools": (Tool("f"),)}, True),
    ],
)
def test_which_chats_are_looked_through_apart(fields: dict[str, Any], heavy: bool) -> None:
    assert apart.heavy(job(**fields)) is heavy


async def test_a_form_is_judged_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop goes on meanwhile: it is what lets the judgement end here."""
    seen: list[Any] = []
    go = threading.Event()
    real = prompt._request_body

    def body(*arguments: Any) -> Any:
        seen.append(threading.current_thread())
        assert go.wait(10)
        return real(*arguments)

    monkeypatch.setattr(prompt, "_request_body", body)
    asyncio.get_running_loop().call_later(0.01, go.set)
    await prompt.render(job(output_schema={"type": "object"}), renderer([1, 2]), {})
    assert seen != [threading.main_thread()]


async def test_work_that_does_not_end_in_time_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "DEADLINE", 0.0)
    with pytest.raises(Overloaded):
        await apart.apart(lambda: None)
