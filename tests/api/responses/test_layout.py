"""From input items to the messages of a chat."""

from typing import Any

import pytest

from server.api.openai.responses.items import Item, items_of
from server.api.openai.responses.layout import Layout, laid_out
from server.errors import InvalidRequest

USER = {"role": "user", "content": "hi"}


def said(*items: Any, instructions: str | None = None, history: list[Item] | None = None) -> list[Any]:
    return list(laid_out(instructions, history or [], items_of(items)).messages)


def call(call_id: str, name: str = "f") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"}


def result(call_id: str, output: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def made(*calls: str, **more: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": "{}"}
    tool_calls = [{"id": call_id, "type": "function", "function": function} for call_id in calls]
    return {"role": "assistant", "content": "", "tool_calls": tool_calls, **more}


def tool(call_id: str, content: Any = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def thought(text: str) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def test_a_text_is_what_the_user_says() -> None:
    [item] = items_of("hello")
    assert item.pop("id").startswith("msg_")
    content = [{"type": "input_text", "text": "hello"}]
    assert item == {"type": "message", "role": "user", "status": "completed", "content": content}
    assert laid_out(None, [], [item]).messages == [{"role": "user", "content": "hello"}]


def test_items_are_as_the_api_lists_them() -> None:
    items = items_of(
        [
            {"role": "assistant", "content": "Yes.", "phase": "final_answer", "id": "msg_7", "status": "incomplete"},
            {**call("c1"), "id": "fc_1"},
            result("c1", [{"type": "input_text", "text": "4"}]),
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "so", "more": 1}]},
            {"id": "msg_3"},
        ]
    )
    assert items[2].pop("id").startswith("fco_")
    assert items == [
        {
            "type": "message",
            "id": "msg_7",
            "role": "assistant",
            "status": "incomplete",
            "content": [{"type": "output_text", "text": "Yes.", "annotations": [], "logprobs": []}],
            "phase": "final_answer",
        },
        {**call("c1"), "id": "fc_1", "status": "completed"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "4"}],
            "status": "completed",
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "so"}]},
        {"type": "item_reference", "id": "msg_3"},
    ]


@pytest.mark.parametrize("given", ["x" * 65, "", 7, None])
def test_an_id_that_is_none_is_replaced(given: Any) -> None:
    [item] = items_of([{**USER, "id": given}])
    assert item["id"].startswith("msg_")
    assert len(item["id"]) == 52


def test_roles_become_those_of_engines_and_what_begins_is_one_message() -> None:
    assert said({"role": "developer", "content": "a"}, USER, {"role": "system", "content": "b"}) == [
        {"role": "system", "content": "a"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "b"},
    ]
    assert said(
        {"role": "system", "content": "b"},
        {"role": "developer", "content": [{"type": "input_text", "text": "c"}, {"type": "input_text", "text": "d"}]},
        USER,
        instructions="a",
    ) == [{"role": "system", "content": "a\n\nb\n\nc\nd"}, {"role": "user", "content": "hi"}]


def test_the_turn_of_a_model_is_one_message() -> None:
    assert said(
        USER,
        thought("well"),
        {"role": "assistant", "content": "Let me see."},
        call("c1"),
        call("c2"),
        result("c1"),
        result("c2"),
        thought("now"),
        call("c3"),
        result("c3"),
        {"role": "assistant", "content": "Done."},
        {"role": "assistant", "content": "Really."},
    ) == [
        {"role": "user", "content": "hi"},
        made("c1", "c2", content="Let me see.", reasoning="well"),
        tool("c1"),
        tool("c2"),
        made("c3", reasoning="now"),
        tool("c3"),
        {"role": "assistant", "content": "Done."},
        {"role": "assistant", "content": "Really."},
    ]


def test_what_came_before_stands_between_the_instructions_and_the_input() -> None:
    history = items_of(
        [{"role": "developer", "content": "old"}, USER, {"role": "assistant", "content": "yes"}, call("c")]
    )
    assert said(result("c"), instructions="new", history=history) == [
        {"role": "system", "content": "new\n\nold"},
        {"role": "user", "content": "hi"},
        made("c", content="yes"),
        tool("c"),
    ]


def test_thoughts_that_nothing_follows_are_left_out() -> None:
    assert said(USER, thought("hm"), USER) == [{"role": "user", "content": "hi"}] * 2
    assert said(USER, {"type": "reasoning", "summary": []}, {"role": "assistant", "content": "a"})[1] == {
        "role": "assistant",
        "content": "a",
    }


def test_pictures_that_calls_have_found_are_shown_after_the_results() -> None:
    text = {"type": "input_text", "text": "here"}
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AA"}
    shown = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    items = items_of([USER, call("a"), call("b"), result("a", [text, picture]), result("b", [picture]), USER])
    layout = laid_out(None, [], items)
    assert layout.messages == [
        {"role": "user", "content": "hi"},
        made("a", "b"),
        tool("a", "here"),
        tool("b", ""),
        {"role": "user", "content": [shown, shown]},
        {"role": "user", "content": "hi"},
    ]
    param = "messages[4].content[1].image_url.url"
    assert layout.renamed(InvalidRequest("no", param=param)).param == "input[4].output"
    assert laid_out(None, [], items[:-1]).messages == layout.messages[:-1]


def test_a_refusal_is_text_of_the_models() -> None:
    [message] = said({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]})
    assert message == {"role": "assistant", "content": "No."}


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="No tool call found for function call output with call_id c1"):
        said(USER, result("c1"), call("c1"))


def test_too_many_items_or_messages_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="2049 items") as refused:
        items_of([USER] * 2049)
    assert refused.value.param == "input"
    with pytest.raises(InvalidRequest, match="2049 messages"):
        laid_out("a", [], items_of([USER] * 2048))


@pytest.mark.parametrize(
    ("param", "renamed"),
    [
        ("messages", "input"),
        ("messages[0].content", "instructions"),
        ("messages[1].content[2].image_url.url", "input"),
        ("messages[2].content[0].image_url.url", "input[0].content[0].image_url"),
        ("messages[2].content[0].image_url", "input[0].content[0].image_url"),
        ("messages[3].tool_calls[0].function", "input[1]"),
        ("messages[4].content", "input[2].output"),
        ("messages[9].content", "input"),
        ("max_tokens", "max_output_tokens"),
        ("reasoning_effort", "reasoning.effort"),
        ("tools[0].parameters", "tools[0].parameters"),
        (None, None),
    ],
)
def test_params_are_those_of_this_api(param: str | None, renamed: str | None) -> None:
    layout = laid_out("be brief", items_of("old"), items_of([USER, call("c"), result("c")]))
    assert layout.renamed(InvalidRequest("no", param=param)).param == renamed


def test_params_are_right_after_messages_were_left_out() -> None:
    layout = laid_out(None, items_of("old"), items_of([USER, {"role": "assistant", "content": "a"}, USER]))
    layout.leave_out({0, 1})
    assert layout.places == ["input[1]", "input[2]"]
    assert layout.renamed(InvalidRequest("no", param="messages[1].content")).param == "input[2].content"


def test_an_empty_layout_names_the_input() -> None:
    assert Layout().renamed(InvalidRequest("no", param="messages[0]")).param == "input"
