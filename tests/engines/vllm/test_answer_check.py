"""The end of an answer is believed once the whole has the form that was asked for."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("vllm")

from vllm.outputs import CompletionOutput

from server.core import ChatJob, Constraint, Event, Finish, TextDelta, Tool
from server.engines.vllm.answer_check import Whole, check
from server.engines.vllm.output import Text
from server.errors import InvalidRequest

TAGS = {"type": "object", "properties": {"tags": {"type": "array", "items": {}, "uniqueItems": True}}}


def job(**fields: Any) -> ChatJob:
    return ChatJob(messages=({"role": "user", "content": "hello"},), **fields)


def answer(job: ChatJob, text: str, reason: str = "stop", stop: str | int | None = None) -> Iterator[Event]:
    whole = Whole(Text(0, None), job, SimpleNamespace(decode=lambda ids, **_: "<end>" * len(ids)))
    for piece, finish in ((text[:3], None), (text[3:], reason)):
        yield from whole.feed(CompletionOutput(0, piece, [1], None, None, finish_reason=finish, stop_reason=stop))


def test_an_answer_that_has_its_form_ends_with_stop() -> None:
    events = list(answer(job(output_schema={"type": "object"}), '{"a":1}'))
    assert events == [TextDelta(0, '{"a', None, 1), TextDelta(0, '":1}', None, 1), Finish(0, "stop")]


@pytest.mark.parametrize("text", ['{"a":', "", "{}{}", "[" * 100_000])
def test_broken_json_never_ends_with_stop(text: str) -> None:
    with pytest.raises(InvalidRequest, match="No answer can be kept") as refused:
        list(answer(job(output_schema={"type": "object"}, form_field="guided_json"), text))
    assert refused.value.param == "guided_json"


@pytest.mark.parametrize(("reason", "stop"), [("length", None), ("stop", '":'), ("stop", 7)])
def test_what_the_client_ends_is_as_the_client_asked(reason: Any, stop: Any) -> None:
    ended = job(output_schema={"type": "object"}, stop=('":',), stop_token_ids=(7,))
    assert list(answer(ended, '{"a', reason, stop))[-1] == Finish(0, reason, 1)


@pytest.mark.parametrize("form", [{"output_schema": {"type": "object"}}, {"constraint": Constraint("choice", ("{}",))}])
def test_the_token_of_the_end_that_the_client_wants_to_see_is_no_part_of_the_form(form: dict[str, Any]) -> None:
    seen = {"include_stop_str_in_output": True, "skip_special_tokens": False}
    assert list(answer(job(**form, **seen), "{}<end>"))[-1] == Finish(0, "stop")
    with pytest.raises(InvalidRequest, match="No answer can be kept"):
        list(answer(job(**form), "{}<end>"))
    with pytest.raises(InvalidRequest, match="No answer can be kept"):
        list(answer(job(**form, **seen), "{}<end><end>"))


def test_the_end_of_the_model_own_is_none_of_the_client() -> None:
    with pytest.raises(InvalidRequest):
        list(answer(job(output_schema={"type": "object"}), '{"a', "stop", 8))


def test_arguments_of_a_forced_call_are_checked_too() -> None:
    with pytest.raises(InvalidRequest) as refused:
        list(answer(job(tools=(Tool("f", parameters=TAGS),), tool_choice=("f",)), '{"tags":["a","a"]}'))
    assert refused.value.param == "tools"


@pytest.mark.parametrize(
    ("schema", "right", "wrong", "message"),
    [
        (TAGS, '{"tags":[1,2,"1",{"a":1},{"a":2}]}', '{"tags":[{"a":1,"b":2},{"b":2.0,"a":1}]}',
         r"breaks the JSON Schema \(uniqueItems\) at /tags"),
        ({"anyOf": [TAGS, {"type": "null"}]}, "null", '{"tags":[1,1]}', r"\(type, uniqueItems\)"),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, '{"b":1}', '{"a":1}', r"\(dependentRequired\)"),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 2}, '{"a":1,"b":2}', '{"a":1}',
         r"\(minProperties\)"),
    ],
)  # fmt: skip
def test_what_no_grammar_can_count_is_an_error_and_no_silence(
    schema: Any, right: str, wrong: str, message: str
) -> None:
    check(job(output_schema=schema), right)
    with pytest.raises(InvalidRequest, match=message) as refused:
        check(job(output_schema=schema), wrong)
    assert refused.value.param == "response_format"


def test_an_answer_too_deep_to_check_is_an_error_and_no_bug() -> None:
    deep = {"type": "array", "items": {"$ref": "#"}, "uniqueItems": True}
    check(job(output_schema=deep), "[" * 20 + "]" * 20)
    with pytest.raises(InvalidRequest, match="too deeply"):
        check(job(output_schema=deep), "[" * 900 + "]" * 900)


def test_many_items_are_compared_in_time() -> None:
    """Each with each, as jsonschema does it, takes minutes."""
    items = ",".join(f'{{"a":{n}}}' for n in range(20_000))
    check(job(output_schema=TAGS), f'{{"tags":[{items}]}}')


@pytest.mark.parametrize(("text", "kept"), [("yes", True), ("ye", False)])
def test_other_forms_are_checked_too(text: str, kept: bool) -> None:
    asked = job(constraint=Constraint("choice", ("yes", "no")), form_field="guided_choice")
    if kept:
        assert list(answer(asked, text))[-1] == Finish(0, "stop", 1)
        return
    with pytest.raises(InvalidRequest) as refused:
        list(answer(asked, text))
    assert refused.value.param == "guided_choice"


def test_a_form_that_ends_before_min_tokens_is_no_silence() -> None:
    with pytest.raises(InvalidRequest) as refused:
        list(answer(job(output_schema={"type": "object"}, min_tokens=3), "{}"))
    assert refused.value.param == "min_tokens"
    assert list(answer(job(output_schema={"type": "object"}, min_tokens=2), "{}"))
