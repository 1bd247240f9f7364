"""What is the client's fault and what is a bug, by the kinds of vLLM's errors and never by their words."""

import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from vllm.exceptions import VLLMValidationError
from vllm.renderers.hf import safe_apply_chat_template

from server.core import ChatJob
from server.engines.vllm import prompt, refusals, schema_limits
from server.errors import ContextLengthExceeded, InvalidRequest

pytestmark = pytest.mark.anyio

HELLO = ({"role": "user", "content": "hello"},)
OVERLAPPING = {"oneOf": [{"type": "string"}, {"type": "string"}]}


def renderer(outcome: Exception | list[int]) -> Any:
    """Stands for vLLM's: raises `outcome`, or returns it as a prompt's tokens."""

    async def render_chat(request: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return [], [{"prompt_token_ids": outcome}]

    return SimpleNamespace(
        render_chat=render_chat,
        parser=None,
        renderer=SimpleNamespace(tokenizer=None),
        use_harmony=False,
        model_config=SimpleNamespace(max_model_len=100),
        effective_chat_template_kwargs=lambda request: {},
    )


def job(**fields: Any) -> ChatJob:
    return ChatJob(**{"messages": HELLO, **fields})


@pytest.mark.parametrize("named", ["input_text", "input_tokens"])
async def test_a_prompt_beyond_the_context_is_known_by_what_is_wrong_with_it(named: str) -> None:
    # The words of vLLM 0.15, which are not those of 0.32.
    error = VLLMValidationError("You passed 200 input tokens, the model's context length is 100", parameter=named)
    with pytest.raises(ContextLengthExceeded, match="You passed 200") as refused:
        await prompt.render(job(), renderer(error), {})
    assert refused.value.param == "messages"


async def test_a_template_that_speaks_of_the_context_length_is_no_prompt_beyond_it() -> None:
    error = VLLMValidationError("set max_model_len: the maximum context length of this persona is short")
    with pytest.raises(InvalidRequest) as refused:
        await prompt.render(job(), renderer(error), {})
    assert refused.value.code == "invalid_value"


@pytest.mark.parametrize("error", [TypeError("bug"), KeyError("bug"), AttributeError("bug")])
async def test_a_bug_in_rendering_is_no_bad_input(error: Exception) -> None:
    with pytest.raises(type(error)):
        await prompt.render(job(), renderer(error), {})


async def test_a_bug_of_ours_is_no_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(schema: Any, param: str) -> None:
        raise ValueError("bug")

    monkeypatch.setattr(schema_limits, "check", broken)
    with pytest.raises(ValueError, match=r"^bug$"):
        await prompt.render(job(output_schema={"type": "object"}), renderer([1]), {})


# Beside those that vLLM lets a request set.
@pytest.mark.parametrize(
    "name", sorted(inspect.signature(safe_apply_chat_template).parameters.keys() - {"kwargs", "tools", "tokenize"})
)
async def test_no_argument_for_the_template_takes_the_place_of_another(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await prompt.render(job(chat_template_kwargs={name: "x"}), renderer([1]), {})
    assert refused.value.param == "chat_template_kwargs"


@pytest.mark.parametrize(
    ("schema", "ours"),
    [
        (OVERLAPPING, True),
        ('{"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "string"}]}}}', True),
        # Wrong in another way too.
        ({"oneOf": [{"type": "string"}, {"type": "string", "pattern": "("}]}, True),
        # Of these, oneOf is no part of what is wrong.
        ({"type": "object", "properties": {"a": {"oneOf": [{"type": "null"}, {"type": "string"}]}, "b": 5}}, False),
        ({"type": "string", "pattern": "(coerce_one_of"}, False),
        ("no JSON", False),
    ],
)
def test_what_is_wrong_with_a_grammar_is_found_by_llguidance_itself(schema: Any, ours: bool) -> None:
    found = refusals.of_grammar(VLLMValidationError("Grammar error: as vLLM puts it"), schema, "response_format")
    assert found.param == "response_format"
    assert found.message.startswith("oneOf is supported where") == ours


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "integer", "minimum": 5, "maximum": 3},
         "Nothing satisfies this JSON Schema: minimum (5) is greater than maximum (3)."),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]},
         "Nothing satisfies this JSON Schema: it contradicts itself."),
        ({"type": "string", "pattern": "^a{5}$", "maxLength": 3},
         "Nothing satisfies this JSON Schema: it contradicts itself."),
        ({"anyOf": [{"pattern": "a"}, {"type": "string", "pattern": "^(?=a)b"}]},
         ("The pattern '^(?=a)b' of this JSON Schema can't be kept: look-around, including look-ahead and look-behind, "
          "is not supported.")),
        ({"type": "object", "patternProperties": {"^(a": {}}},
         "The pattern '^(a' of this JSON Schema can't be kept: unclosed group."),
        ({"type": "object", "patternProperties": {"^a": {}, "^ab": {"type": "null"}}},
         "The patterns of patternProperties in this JSON Schema overlap; give each property one of them."),
        ({"uniqueItems": True}, "No grammar can be made of this JSON Schema."),
    ],
)  # fmt: skip
def test_what_llguidance_finds_is_said_in_words_for_the_client(schema: Any, message: str) -> None:
    found = refusals.of_grammar(VLLMValidationError("Grammar error: as vLLM puts it"), schema, "tools")
    assert (found.message, found.param) == (message, "tools")


def test_an_error_of_a_request_without_a_schema_is_passed_on() -> None:
    assert refusals.of_grammar(VLLMValidationError("as vLLM puts it"), None, None).message == "as vLLM puts it"
