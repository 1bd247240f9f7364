"""What a request may say of how its chat is written: continued, without a turn begun, with documents and arguments."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from server.core import ChatJob
from server.errors import ContextLengthExceeded, InvalidRequest
from tests import tiny_tokenizers
from tests.engines.vllm.rendering import rendering

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

HELLO = {"role": "user", "content": "hello"}
BEGUN = {"role": "assistant", "content": "The answer is"}
TEXT = {"title": "Oslo", "text": "a city"}


@pytest.fixture(scope="module")
def renderers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Of a model whose template reads documents and a date, and of one whose template reads a switch for reasoning."""
    made = {
        family: rendering(tiny_tokenizers.build(family, tmp_path_factory.mktemp("models") / family))
        for family in ("llama", "qwen")
    }
    yield {family: renderer for family, (renderer, _) in made.items()}
    for _, processor in made.values():
        processor.renderer.shutdown()


@pytest.fixture
def written(renderers: dict[str, Any]) -> Callable[..., Any]:
    """From a job's fields to the text of its prompt."""
    from server.engines.vllm import prompt

    async def written(*messages: Any, family: str = "qwen", renderer: Any = None, **fields: Any) -> str:
        renderer = renderer or renderers[family]
        made = await prompt.render(ChatJob(messages=messages or (HELLO,), **fields), renderer, {})
        return str(renderer.renderer.tokenizer.decode(made.input["prompt_token_ids"], skip_special_tokens=False))

    return written


async def test_the_last_message_is_continued(written: Callable[..., Any]) -> None:
    prompt = await written(HELLO, BEGUN, continue_final_message=True)
    assert prompt.endswith("<|im_start|>assistant\nThe answer is")


async def test_without_the_flag_it_is_a_turn_that_has_ended(written: Callable[..., Any]) -> None:
    prompt = await written(HELLO, BEGUN)
    assert prompt.endswith("<|im_start|>assistant\nThe answer is<|im_end|>\n<|im_start|>assistant\n")


async def test_no_turn_is_begun_where_none_is_wanted(written: Callable[..., Any]) -> None:
    assert (await written(HELLO, add_generation_prompt=False)).endswith("hello<|im_end|>\n")


async def test_only_what_an_assistant_said_can_be_continued(written: Callable[..., Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await written(HELLO, continue_final_message=True)
    assert refused.value.param == "continue_final_message"


async def test_what_a_template_changes_cannot_be_continued(
    renderers: dict[str, Any], written: Callable[..., Any]
) -> None:
    """transformers' words for it hold the whole prompt."""
    renderer = copy.copy(renderers["qwen"])
    renderer.chat_template = "{% for m in messages %}{{ m.role }} {{ m.content | upper }}{% endfor %}"
    with pytest.raises(InvalidRequest) as refused:
        await written(HELLO, BEGUN, continue_final_message=True, renderer=renderer)
    assert refused.value.param == "continue_final_message"
    assert "user" not in refused.value.message
    assert len(refused.value.message) < 120


async def test_documents_reach_a_template_that_reads_them(written: Callable[..., Any]) -> None:
    prompt = await written(family="llama", documents=(TEXT, {"title": "Rome", "text": "another"}))
    assert "<|end_header_id|>Oslo: a city\nRome: another\n<|eot_id|>" in prompt


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"documents": (TEXT,)}, "documents"),
        *(
            ({"chat_template_kwargs": {name: "x"}}, "chat_template_kwargs")
            for name in (
                "messages", "conversation", "tools", "self", "documents", "chat_template", "tokenize", "tokenizer",
                "add_generation_prompt", "continue_final_message", "bos_token", "eos_token", "namespace", "range",
                "raise_exception", "model_config", "return_dict",
            )
        ),
    ],
)  # fmt: skip
async def test_documents_that_are_not_read_and_what_the_renderer_sets_are_refused(
    written: Callable[..., Any], fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await written(**fields)
    assert refused.value.param == param
    if param == "chat_template_kwargs":
        assert list(fields[param])[-1] in refused.value.message


async def test_arguments_that_the_template_does_not_read_change_nothing(written: Callable[..., Any]) -> None:
    """Clients send `enable_thinking` to every model."""
    assert await written(family="llama", chat_template_kwargs={"enable_thinking": False}) == await written(
        family="llama"
    )


async def test_arguments_that_the_template_reads_reach_it(written: Callable[..., Any]) -> None:
    assert (await written(chat_template_kwargs={"enable_thinking": False})).endswith("<think>\n\n</think>\n\n")
    assert "2026-01-01" in await written(family="llama", chat_template_kwargs={"date_string": "2026-01-01"})


async def test_reasoning_of_earlier_turns_reaches_the_template(written: Callable[..., Any]) -> None:
    prompt = await written(HELLO, {**BEGUN, "reasoning": "hm"}, continue_final_message=True)
    assert prompt.endswith("<think>\nhm\n</think>\n\nThe answer is")


async def test_the_last_tokens_are_kept(written: Callable[..., Any]) -> None:
    whole = await written()
    assert whole.endswith(cut := await written(truncate_prompt_tokens=4))
    assert len(cut) < len(whole)
    long = {"role": "user", "content": "hello " * 3000}
    with pytest.raises(ContextLengthExceeded):
        await written(long)


@pytest.mark.parametrize(("max_tokens", "kept"), [(None, 2047), (48, 2000), (4000, 1)])
async def test_minus_one_keeps_what_the_answer_leaves_room_for(
    renderers: dict[str, Any], max_tokens: int | None, kept: int
) -> None:
    from server.engines.vllm import prompt

    long = {"role": "user", "content": "hello " * 3000}
    job = ChatJob(messages=(long,), truncate_prompt_tokens=-1, max_tokens=max_tokens)
    made = await prompt.render(job, renderers["qwen"], {})
    assert made.tokens == kept
    assert made.sampling.max_tokens == (2048 - kept if max_tokens != 4000 else 2047)


async def test_more_than_the_context_cannot_be_kept(written: Callable[..., Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await written(truncate_prompt_tokens=5000)
    assert refused.value.param == "truncate_prompt_tokens"


@pytest.mark.parametrize(
    "fields",
    [
        {"chat_template_kwargs": {"x": 1}},
        {"continue_final_message": True, "messages": (HELLO, BEGUN)},
        {"add_generation_prompt": False},
        {"truncate_prompt_tokens": 5},
        {"documents": (TEXT,)},
    ],
)
async def test_what_harmony_would_ignore_is_refused(
    renderers: dict[str, Any], written: Callable[..., Any], fields: dict[str, Any]
) -> None:
    """vLLM writes gpt-oss's chats by code, which knows none of these."""
    renderer = copy.copy(renderers["qwen"])
    renderer.use_harmony = True
    messages = fields.pop("messages", (HELLO,))
    with pytest.raises(InvalidRequest) as refused:
        await written(*messages, renderer=renderer, **fields)
    assert refused.value.param == next(iter(fields))
