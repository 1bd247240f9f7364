"""Whatever a client sends as input, functions or settings, it is read or refused by name; nothing is a bug of ours."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.api.openai.responses.request import ResponsesRequest
from server.api.openai.responses.response_object import ResponseObject
from server.api.openai.responses.truncation import droppable
from server.api.openai.responses.turn import Turn
from server.api.validation import validate
from server.errors import InvalidRequest, NotFound

KINDS = (
    *("message", "function_call", "function_call_output", "reasoning", "item_reference", "input_text", "input_image"),
    *("input_file", "input_audio", "output_text", "refusal", "summary_text", "reasoning_text", "text", "x", ""),
)
SCALARS = (None, True, -1, 0.5, "", "x", [], {}, [7], [None], {"a": 1}, [[]])
junk = st.sampled_from(SCALARS)
ids = st.sampled_from(["a", "b", "x" * 65, ""])
texts = st.sampled_from(["", "hi", "{}"])


def mapping(needed: dict[str, st.SearchStrategy[Any]], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object of these fields, each of which is junk now and then, as the whole is."""
    either = {name: st.one_of(*[field] * 9, junk) for name, field in {**needed, **more}.items()}
    told = st.fixed_dictionaries(
        {name: either[name] for name in needed}, optional={name: either[name] for name in more}
    )
    return st.one_of(*[told] * 12, junk)


parts = mapping(
    {"type": st.sampled_from(KINDS), "text": texts},
    refusal=texts,
    image_url=st.just("data:image/png;base64,AA=="),
    file_id=ids,
    file_data=st.just("data:text/plain;base64,AA=="),
    input_audio=mapping({"data": st.just("AA=="), "format": st.just("wav")}),
    detail=st.just("low"),
)
content = texts | st.lists(parts, max_size=3)
items = mapping(
    {
        "type": st.sampled_from(KINDS[:4]) | st.sampled_from(KINDS[:6]),
        "role": st.sampled_from(["user", "assistant", "system", "developer"]),
        "content": content,
        "call_id": st.sampled_from("ab"),
        "name": st.sampled_from(["f", "g"]),
        "arguments": st.sampled_from(["{}", "[", ""]),
        "output": content,
    },
    id=ids,
    summary=content,
    encrypted_content=texts,
    status=st.sampled_from(["completed", "x"]),
    phase=st.just("commentary"),
)
tools = mapping({"type": st.just("function"), "name": st.sampled_from(["f", "g"])}, parameters=st.just({}))
choices = st.sampled_from(["none", "auto", "required", "f"]) | mapping(
    {"type": st.sampled_from(["function", "allowed_tools"])}, name=st.just("f"), tools=st.lists(tools, max_size=2)
)
bodies = mapping(
    {"input": st.lists(items, max_size=4)},
    instructions=texts,
    tools=st.lists(tools, max_size=2),
    tool_choice=choices,
    text=mapping(
        {"format": mapping({"type": st.sampled_from(["text", "json_object", "json_schema"])}, name=ids, schema=junk)},
        verbosity=st.just("low"),
    ),
    reasoning=mapping({"effort": st.just("low")}, summary=st.just("auto")),
    include=st.just(["reasoning.encrypted_content"]),
    metadata=st.just({"a": "b"}),
    truncation=st.just("auto"),
    top_logprobs=st.just(3),
)


@pytest.mark.anyio
@given(bodies)
async def test_it_is_read_or_refused(body: Any) -> None:
    if not isinstance(body, dict):
        return
    try:
        request = validate(ResponsesRequest, {"model": "m", **body})
        turn = await Turn.of("acct", request, None)
        layout = turn.layout()
        job = request.job(layout.messages)
    except (InvalidRequest, NotFound):
        return
    assert len(layout.places) == len(job.messages)
    droppable(job.messages)
    assert ResponseObject(turn).pending()["status"] == "in_progress"
