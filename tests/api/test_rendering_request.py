"""Fields of a chat's body that say how it is written for the model: to the job, or refused by name."""

from typing import Any

import pytest

from server.api.openai.chat_request import ChatRequest
from server.api.openai.rendering_request import MOST_DOCUMENT_BYTES, MOST_DOCUMENTS
from server.api.validation import validate
from server.core import ChatJob
from server.errors import InvalidRequest

HELLO = [{"role": "user", "content": "hello"}]
BEGUN = [*HELLO, {"role": "assistant", "content": "The"}]


def job(**body: Any) -> ChatJob:
    return validate(ChatRequest, {"model": "m", "messages": HELLO, **body}).job()


def test_they_arrive() -> None:
    documents = [{"title": "a", "text": "b"}]
    made = job(
        messages=BEGUN, continue_final_message=True, documents=documents, truncate_prompt_tokens=-1,
        chat_template_kwargs={"enable_thinking": False},
    )  # fmt: skip
    assert (made.continue_final_message, made.add_generation_prompt) == (True, False)
    assert (made.documents, made.truncate_prompt_tokens) == (tuple(documents), -1)
    assert made.chat_template_kwargs == {"enable_thinking": False}


@pytest.mark.parametrize(("given", "begun"), [({}, True), ({"add_generation_prompt": False}, False)])
def test_a_turn_is_begun_unless_the_request_says_otherwise(given: dict[str, Any], begun: bool) -> None:
    assert job(**given).add_generation_prompt is begun


def test_a_last_message_of_the_assistant_is_no_wish_to_continue_it() -> None:
    made = job(messages=BEGUN)
    assert (made.continue_final_message, made.add_generation_prompt) == (False, True)


@pytest.mark.parametrize(
    "harmless",
    [
        {"chat_template": None},
        {"mm_processor_kwargs": {}},
        {"media_io_kwargs": None},
        {"add_special_tokens": False},
        {"echo": False},
        {"truncation_side": "left"},
        {"documents": []},
        {"truncate_prompt_tokens": None},
        {"continue_final_message": False, "add_generation_prompt": True},
    ],
)
def test_what_asks_for_nothing_changes_nothing(harmless: dict[str, Any]) -> None:
    assert job(**harmless) == job()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"chat_template": "{{ messages }}"}, "chat_template"),
        ({"mm_processor_kwargs": {"max_pixels": 1}}, "mm_processor_kwargs"),
        ({"media_io_kwargs": {"image": {}}}, "media_io_kwargs"),
        ({"add_special_tokens": True}, "add_special_tokens"),
        ({"echo": True}, "echo"),
        ({"truncation_side": "right", "truncate_prompt_tokens": 5}, "truncation_side"),
        ({"continue_final_message": True, "add_generation_prompt": True}, "add_generation_prompt"),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens"),
        ({"truncate_prompt_tokens": -2}, "truncate_prompt_tokens"),
        ({"truncate_prompt_tokens": 2**70}, "truncate_prompt_tokens"),
        ({"documents": [{"text": "a"}] * (MOST_DOCUMENTS + 1)}, "documents"),
        ({"documents": [{"text": "a" * MOST_DOCUMENT_BYTES}]}, "documents"),
        ({"documents": ["a"]}, "documents[0]"),
        ({"documents": [{"text": 1}]}, "documents[0].text"),
        ({"documents": {"text": "a"}}, "documents"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        job(messages=BEGUN, **body)
    assert refused.value.param == param


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_of_earlier_turns_is_kept_by_either_name(name: str) -> None:
    (message,) = job(messages=[{"role": "assistant", "content": "a", name: "hm"}]).messages
    assert message == {"role": "assistant", "content": "a", "reasoning": "hm"}


@pytest.mark.parametrize("value", [None, "", [{"type": "text"}]])
def test_reasoning_in_another_form_is_left_out(value: Any) -> None:
    (message,) = job(messages=[{"role": "assistant", "content": "a", "reasoning": value}]).messages
    assert message == {"role": "assistant", "content": "a"}
