"""A chat job in vLLM's words, by its own renderer and checks, and without its engine: no weights are loaded."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.core import ChatJob, Tool
from server.errors import ContextLengthExceeded, EngineFailed, InvalidRequest
from tests.engines.vllm.rendering import rendering
from tests.reading import ran

pytestmark = [pytest.mark.anyio, pytest.mark.models]

HELLO = ({"role": "user", "content": "hello"},)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
# As pydantic writes a model within a model.
PLACED = {
    "type": "object",
    "properties": {"at": {"$ref": "#/$defs/Place"}},
    "required": ["at"],
    "additionalProperties": False,
    "$defs": {
        "Place": {
            "type": "object",
            "properties": {"floor": {"type": "integer"}},
            "required": ["floor"],
            "additionalProperties": False,
        }
    },
}


@pytest.fixture(scope="module")
def vllm() -> Iterator[Any]:
    """A renderer and an input processor, set up as the engine does it."""
    renderer, processor = rendering()
    yield renderer, processor
    processor.renderer.shutdown()


@pytest.fixture
def render(vllm: Any) -> Callable[..., Any]:
    """From a job's fields to the prompt, and past vLLM's own checks of it."""
    from server.engines.vllm import prompt

    renderer, processor = vllm

    async def rendered(**fields: Any) -> Any:
        made = await prompt.render(ChatJob(**{"messages": HELLO, **fields}), renderer, {})
        # The step that VllmEngine.read takes too; what is public checks and begins the work at once.
        processor._validate_params(made.sampling, ("generate",))
        return made

    return rendered


def accepts(schema: Any, text: str) -> bool:
    """Whether a grammar made of `schema` lets all of `text` through, byte by byte."""
    import llguidance

    grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults={"whitespace_flexible": False})
    matcher = llguidance.LLMatcher(llguidance.LLTokenizer("byte"), grammar)
    return all(matcher.consume_token(byte) for byte in text.encode()) and matcher.is_accepting()


async def test_one_call_at_a_time_is_no_grammar(render: Callable[..., Any]) -> None:
    """vLLM makes one of it that this backend can't read, and every such request was a 400."""
    made = await render(tools=(Tool("weather", parameters=CITY),), tool_choice="auto", parallel_tool_calls=False)
    assert made.sampling.structured_outputs is None
    assert made.request.tool_choice == "auto"


async def test_references_hold_within_the_envelope_of_several_functions(render: Callable[..., Any]) -> None:
    tools = (Tool("go", parameters=PLACED), Tool("weather", parameters=CITY))
    made = await render(tools=tools, tool_choice="required")
    schema = made.sampling.structured_outputs.json
    assert accepts(schema, '{"name":"go","arguments":{"at":{"floor":3}}}')
    assert accepts(schema, '{"name":"weather","arguments":{"city":"Oslo"}}')
    assert not accepts(schema, '{"name":"go","arguments":{"at":{"floor":"three"}}}')
    assert not accepts(schema, '{"name":"weather","arguments":{"at":{"floor":3}}}')


async def test_the_functions_in_the_prompt_are_as_the_client_wrote_them(render: Callable[..., Any]) -> None:
    tools = (Tool("go", parameters=PLACED), Tool("weather", parameters=CITY))
    made = await render(tools=tools, tool_choice="required")
    assert [tool.function.parameters for tool in made.request.tools] == [PLACED, CITY]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"output_schema": {"type": "array", "maxItems": 10**9}}, "response_format"),
        ({"tools": (Tool("f", parameters={"type": "array", "maxItems": 10**9}),), "tool_choice": ("f",)}, "tools"),
        ({"chat_template_kwargs": {"chat_template": "{{ 1 }}"}}, "chat_template_kwargs"),
    ],
)
async def test_bad_input_is_named(render: Callable[..., Any], fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await render(**fields)
    assert refused.value.param == param


async def test_big_schemas_of_functions_that_nobody_forces_are_only_text(render: Callable[..., Any]) -> None:
    parameters = {"type": "object", "properties": {"a": {"type": "array", "maxItems": 2**31 - 1}}}
    assert (await render(tools=(Tool("f", parameters=parameters),), tool_choice="auto")).tokens > 31


async def test_arguments_nested_beyond_reading_are_bad_input_and_no_bug(render: Callable[..., Any]) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": deep}}
    with pytest.raises(InvalidRequest, match="nested") as refused:
        await render(messages=(*HELLO, {"role": "assistant", "content": "", "tool_calls": [call]}))
    assert refused.value.param == "messages"


@pytest.mark.parametrize("arguments", [r'{"a": "\ud83d"}', r'{"a": "\udE00\uD83D"}', r'{"\uD83D": 1}'])
async def test_half_characters_in_earlier_calls_are_unreadable_and_no_bug(
    vllm: Any, render: Callable[..., Any], arguments: str
) -> None:
    renderer, _ = vllm
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    made = await render(messages=(*HELLO, {"role": "assistant", "content": "", "tool_calls": [call]}))
    text = renderer.renderer.get_tokenizer().decode(made.input["prompt_token_ids"])
    assert "\ufffd" in text


async def test_whole_characters_of_earlier_calls_are_as_they_were(vllm: Any, render: Callable[..., Any]) -> None:
    renderer, _ = vllm
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": r'{"a": "\ud83d\ude00"}'}}
    made = await render(messages=(*HELLO, {"role": "assistant", "content": "", "tool_calls": [call]}))
    assert "\U0001f600" in renderer.renderer.get_tokenizer().decode(made.input["prompt_token_ids"])


async def test_the_end_of_a_forced_call_is_no_part_of_its_arguments(render: Callable[..., Any]) -> None:
    seen = {"include_stop_str_in_output": True, "skip_special_tokens": False}
    tools = (Tool("f", parameters=CITY),)
    for choice in (("f",), "required"):
        assert (await render(tools=tools, tool_choice=choice, **seen)).sampling.skip_special_tokens
    assert not (await render(tools=tools, tool_choice="auto", **seen)).sampling.skip_special_tokens


async def test_a_prompt_beyond_the_context_is_refused_as_that(render: Callable[..., Any]) -> None:
    with pytest.raises(ContextLengthExceeded) as refused:
        await render(messages=({"role": "user", "content": "word " * 9000},))
    assert refused.value.param == "messages"


async def test_a_prompt_too_long_to_tokenize_is_one_beyond_the_context(render: Callable[..., Any]) -> None:
    with pytest.raises(ContextLengthExceeded) as refused:
        await render(messages=({"role": "user", "content": "x" * 3_000_000},))
    assert refused.value.param == "messages"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[0].content + 1 }}", 'can only concatenate str (not "int") to str'),
        ("{{ messages[0].content.nothing.more }}", "'str object' has no attribute 'nothing'"),
    ],
)
async def test_messages_that_a_template_cannot_place_are_bad_input(vllm: Any, template: str, message: str) -> None:
    from server.engines.vllm import prompt

    renderer = copy.copy(vllm[0])
    renderer.chat_template = template
    with pytest.raises(InvalidRequest) as refused:
        await prompt.render(ChatJob(messages=HELLO), renderer, {})
    assert refused.value.message == message


class StubCore:
    """What the engine asks of AsyncLLM, answered by one output of the test's own."""

    errored = False
    request_id = "chat-1"
    tokenizer = None

    def __init__(self, processor: Any, output: Any) -> None:
        self.input_processor = processor
        self.output = output
        self.aborted: list[str] = []

    async def get_supported_tasks(self) -> tuple[str, ...]:
        return ("generate",)

    async def add_request(self, *_: Any) -> Any:
        return self

    def get_nowait(self) -> Any:
        return self.output

    async def abort(self, request_id: str, *, internal: bool) -> None:
        assert internal
        self.aborted.append(request_id)

    def close(self) -> None: ...


@pytest.mark.parametrize("schema", [{"type": "object"}, None])
async def test_a_grammar_that_gives_up_is_bad_input_and_no_dead_engine(vllm: Any, schema: Any) -> None:
    """vLLM ends such a request with the reason `error`, which without a grammar means an accident of its own."""
    from vllm.outputs import CompletionOutput, RequestOutput

    from server.engines.vllm.engine import VllmEngine
    from server.engines.vllm.options import VllmOptions

    renderer, processor = vllm
    piece = CompletionOutput(0, "", [], None, None, finish_reason="error")
    # What `start` sets takes a model's weights and a core process; no schema makes a real core end so in a few tokens.
    engine = VllmEngine(VllmOptions(name="chat", path=Path()))
    engine._renderer = renderer
    engine._llm = StubCore(processor, RequestOutput("chat-1", None, [1], None, [piece], finished=True))
    events = ran(engine, ChatJob(messages=HELLO, output_schema=schema))
    assert (await anext(events)).room is not None
    with pytest.raises(InvalidRequest if schema else EngineFailed) as refused:
        await anext(events)
    assert refused.value.param == ("response_format" if schema else None)


@pytest.mark.parametrize("parallel", [True, False])
def test_calls_beyond_the_first_are_dropped_where_only_one_is_wanted(vllm: Any, parallel: bool) -> None:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.outputs import CompletionOutput

    from server.core import Finish, ToolCallDelta
    from server.engines.vllm.output import Parsed

    renderer, _ = vllm
    function = {"type": "function", "function": {"name": "f", "parameters": CITY}}
    body = {"messages": list(HELLO), "tools": [function], "tool_choice": "auto", "stream": True}
    request = ChatCompletionRequest.model_validate(body)
    tokenizer = renderer.renderer.tokenizer
    parser = renderer.parser(tokenizer, request.tools, chat_template_kwargs={}, model_config=renderer.model_config)
    choice = Parsed(0, None, parser, request, [1], parallel=parallel)
    calls = [f'<tool_call>\n{{"name": "f", "arguments": {{"city": "{city}"}}}}\n</tool_call>' for city in ("A", "B")]
    ids = tokenizer.encode("\n".join(calls))
    events = []
    for place, token in enumerate(ids):
        reason = "stop" if place == len(ids) - 1 else None
        piece = tokenizer.decode(ids[: place + 1])[len(tokenizer.decode(ids[:place])) :]
        events += choice.feed(CompletionOutput(0, piece, [token], None, None, finish_reason=reason))
    made = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [event.name for event in made if event.name] == ["f", "f"][: 2 if parallel else 1]
    arguments = "".join(event.arguments for event in made if event.call == 0)
    assert json.loads(arguments) == {"city": "A"}
    assert {event.call for event in made} == ({0, 1} if parallel else {0})
    assert [event.reason for event in events if isinstance(event, Finish)] == ["tool_calls"]
    assert sum(event.tokens for event in events) == len(ids)  # what is dropped is still paid for
