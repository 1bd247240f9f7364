"""What vLLM 0.26 lacks is made up for: stand-ins with the names that it has, and the installed release."""

from types import SimpleNamespace
from typing import Any

import pytest

from server.engines.vllm import releases


class Params:
    """ChatParams as 0.26 has it."""

    def __init__(self, kwargs: dict[str, Any]) -> None:
        self.chat_template_kwargs = kwargs

    def with_defaults(self, defaults: dict[str, Any]) -> "Params":
        return Params({**defaults, **self.chat_template_kwargs})


def test_template_arguments_are_the_request_s_over_the_renderer_s() -> None:
    renderer = SimpleNamespace(
        chat_template="template",
        chat_template_content_format="auto",
        default_chat_template_kwargs={"thinking": True, "tone": "plain"},
    )
    request = SimpleNamespace(build_chat_params=lambda template, _format: Params({"thinking": False, "of": template}))
    found = releases.template_kwargs(renderer, request)
    assert found == {"thinking": False, "tone": "plain", "of": "template"}


@pytest.mark.parametrize(
    ("include", "grammar", "parser", "ended"),
    [
        (False, False, None, True),
        (True, True, None, True),
        (True, False, None, None),
        (True, False, SimpleNamespace(reasoning_parser=None), None),
        (True, False, SimpleNamespace(reasoning_parser=object(), is_reasoning_end=lambda ids: 7 in ids), True),
        (True, False, SimpleNamespace(reasoning_parser=object(), is_reasoning_end=lambda ids: 8 in ids), False),
    ],
)
def test_the_end_of_reasoning_is_decided_as_0_26_does(
    include: bool, grammar: bool, parser: Any, ended: bool | None
) -> None:
    request = SimpleNamespace(include_reasoning=include, _grammar_from_tool_parser=grammar)
    assert releases.reasoning_ended(request, parser, [5, 6, 7]) is ended


def test_reasoning_tokens_are_counted_by_the_parser_or_its_reasoning_half() -> None:
    half = SimpleNamespace(count_reasoning_tokens=len)
    assert releases.reasoning_tokens(SimpleNamespace(reasoning_parser=half), [1, 2, 3]) == 3
    assert releases.reasoning_tokens(SimpleNamespace(reasoning_parser=None), [1, 2, 3]) == 0
    assert (
        releases.reasoning_tokens(SimpleNamespace(count_reasoning_tokens=lambda _: 2, reasoning_parser=half), [1]) == 2
    )


def test_unfinished_requests_are_counted_where_the_release_counts_them() -> None:
    counter = SimpleNamespace(get_num_unfinished_requests=lambda: 4)
    assert releases.unfinished(counter) == 4
    assert releases.unfinished(SimpleNamespace(output_processor=counter)) == 4


def test_the_installed_release_has_every_name() -> None:
    from vllm.exceptions import VLLMValidationError

    assert issubclass(VLLMValidationError, releases.CLIENT_ERRORS)
    assert releases.load_chat_template("{{ messages }}") == "{{ messages }}"
    assert releases.ErrorResponse.model_fields
    releases.warmup(SimpleNamespace())  # 0.26 has no warm-up: nothing to do
