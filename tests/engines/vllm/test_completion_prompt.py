"""Raw prompts in vLLM's words, by its own renderer and checks, and without its engine: no weights are loaded."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from server.core import ChatJob, CompletionJob, Detokenized, DetokenizeJob, Tokenized, TokenizeJob, Tool
from server.errors import ContextLengthExceeded, InvalidRequest
from tests.engines.vllm.rendering import rendering

pytestmark = [pytest.mark.anyio, pytest.mark.models]

JAPAN = (504, 3575, 282, 3085, 314)
"""The capital of Japan is"""


@pytest.fixture(scope="module")
def vllm() -> Iterator[Any]:
    renderer, processor = rendering()
    yield renderer, processor
    processor.renderer.shutdown()


@pytest.fixture
def render(vllm: Any) -> Callable[..., Any]:
    """From a job's fields to its prompts, past vLLM's own checks of them."""
    from server.engines.vllm import completion_prompt

    renderer, processor = vllm

    async def rendered(*prompts: Any, fim: Any = None, defaults: Any = None, **fields: Any) -> Any:
        job = CompletionJob(prompts=prompts, **fields)
        made = await completion_prompt.render(job, renderer, defaults or {}, fim=fim)
        for one in made:
            processor._validate_params(one.sampling, ("generate",))
            processor._validate_model_input(one.input, "decoder")
        return made

    return rendered


async def test_texts_and_ids_are_read_side_by_side(render: Callable[..., Any]) -> None:
    made = await render("The capital of Japan is", JAPAN, "", max_tokens=7)
    # An empty prompt is the beginning of a document.
    assert [one.ids for one in made] == [JAPAN, JAPAN, (1,)]
    assert [one.sampling.max_tokens for one in made] == [7, 7, 7]
    assert [one.text for one in made] == [None, None, None]


async def test_a_text_is_raw_and_may_hold_control_tokens(render: Callable[..., Any]) -> None:
    (one,) = await render("<|im_start|>user\n", max_tokens=1)
    assert one.ids == (1, 4093, 198)


async def test_the_echo_is_the_text_that_was_sent_or_what_is_left_of_it(render: Callable[..., Any]) -> None:
    made = await render("The capital of Japan is", JAPAN, "", echo=True)
    assert [one.text for one in made] == ["The capital of Japan is", "The capital of Japan is", ""]
    (one,) = await render("The capital of Japan is", echo=True, truncate_prompt_tokens=2)
    assert (one.ids, one.text) == (JAPAN[-2:], " Japan is")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, None),
        ({"top_logprobs": 2}, None),
        ({"echo": True}, None),
        ({"echo": True, "top_logprobs": 2}, 2),
        ({"echo": True, "top_logprobs": 2, "prompt_logprobs": 5}, 5),
        ({"echo": True, "top_logprobs": 2, "prompt_logprobs": 0}, 2),
        ({"prompt_logprobs": 0}, 0),
    ],
)
async def test_the_prompt_is_scored_where_it_is_asked_for(
    render: Callable[..., Any], fields: dict[str, Any], told: int | None
) -> None:
    (one,) = await render("a", **fields)
    assert one.sampling.prompt_logprobs == told
    # What is in the prefix cache would not be scored again.
    assert bool(one.sampling.skip_reading_prefix_cache) is (told is not None)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("defaults", [{}, {"temperature": 0.0}, {"temperature": 0.7}])
@pytest.mark.parametrize("temperature", [None, 0, 1e-6, 0.5, 2])
@pytest.mark.parametrize("limit", [0, 5])
async def test_greedy_choices_are_made_once(
    render: Callable[..., Any], n: int, defaults: dict[str, Any], temperature: float | None, limit: int
) -> None:
    (one,) = await render("a", n=n, temperature=temperature, max_tokens=limit, defaults=defaults)
    used = defaults.get("temperature", 1.0) if temperature is None else temperature
    alike = used == 0 or limit == 0  # of a temperature above 0, vLLM makes one of 0.01 at least
    assert (one.sampling.n, one.copies) == ((1, n) if alike else (n, 1))


async def test_an_answer_has_the_room_that_is_left(render: Callable[..., Any]) -> None:
    (one,) = await render(JAPAN, max_tokens=100_000)
    assert one.sampling.max_tokens == 8192 - 5
    (one,) = await render((5,) * 8191, max_tokens=100)
    assert one.sampling.max_tokens == 1
    for prompt in ((5,) * 8192, "word " * 9000, "word " * 200_000):
        with pytest.raises(ContextLengthExceeded) as refused:
            await render("a", prompt)
        assert refused.value.param == "prompt"


async def test_a_long_prompt_may_be_cut_to_what_fits(render: Callable[..., Any]) -> None:
    (one,) = await render("word " * 9000 + "end", truncate_prompt_tokens=-1, max_tokens=10)
    assert (len(one.ids), one.ids[-1]) == (8191, one.ids[-1])
    (whole,) = await render(" end")
    assert one.ids[-1] == whole.ids[-1]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompts": ((49152,),)}, "prompt"),
        ({"min_tokens": 6, "max_tokens": 5}, "min_tokens"),
        ({"min_tokens": 1, "max_tokens": 0}, "min_tokens"),
        ({"suffix": "end"}, "suffix"),
        ({"suffix": "end", "prompts": (JAPAN,)}, "suffix"),
        ({"truncate_prompt_tokens": 9000}, "truncate_prompt_tokens"),
    ],
)
async def test_what_can_not_be_is_refused_by_name(
    render: Callable[..., Any], fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await render(*fields.pop("prompts", ("a",)), **fields)
    assert refused.value.param == param


async def test_the_middle_is_filled_in_by_the_models_own_tokens(render: Callable[..., Any]) -> None:
    filled = await render("def f(", "x = ", suffix="): pass", fim=("<P>", "<S>", "<M>"))
    spelled = await render("<P>def f(<S>): pass<M>", "<P>x = <S>): pass<M>")
    assert [one.ids for one in filled] == [one.ids for one in spelled]


async def test_a_form_binds_a_completion_too(render: Callable[..., Any]) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    (one,) = await render("a", output_schema=schema)
    assert one.sampling.structured_outputs is not None


# ---------------------------------------------------------------- tokens


async def told(vllm: Any, job: Any) -> Any:
    from server.engines.vllm import tokenize

    reading = await tokenize.read(job, vllm[0], {}, pictures=False)
    return await anext(reading.run())


async def test_tokens_of_a_text_and_back(vllm: Any) -> None:
    found = await told(vllm, TokenizeJob(of=CompletionJob(prompts=("The capital of Japan is",)), strings=True))
    assert found == Tokenized(JAPAN, 8192, ("The", "Ġcapital", "Ġof", "ĠJapan", "Ġis"))
    assert await told(vllm, DetokenizeJob(ids=JAPAN)) == Detokenized("The capital of Japan is")
    assert await told(vllm, DetokenizeJob(ids=(1, 504, 2))) == Detokenized("<|im_start|>The<|im_end|>")
    assert await told(vllm, DetokenizeJob(ids=())) == Detokenized("")
    assert (await told(vllm, TokenizeJob(of=CompletionJob(prompts=("",))))).ids == ()
    # It may be longer than the context: who counts wants to know by how much.
    assert len((await told(vllm, TokenizeJob(of=CompletionJob(prompts=("word " * 9000,))))).ids) == 9001


async def test_tokens_of_a_chat_are_those_that_it_is_read_as(vllm: Any) -> None:
    from server.engines.vllm import prompt

    chat = ChatJob(
        messages=({"role": "user", "content": "hello"},), tools=(Tool("f"), Tool("g")), tool_choice="required"
    )
    found = await told(vllm, TokenizeJob(of=chat))
    rendered = await prompt.render(chat, vllm[0], {})
    assert found.ids == tuple(rendered.input["prompt_token_ids"])
    text = (await told(vllm, DetokenizeJob(ids=found.ids))).text
    assert text.endswith("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n")
    assert '"name": "g"' in text


@pytest.mark.parametrize(
    ("job", "param"),
    [
        (DetokenizeJob(ids=(49152,)), "tokens"),
        (TokenizeJob(of=CompletionJob(prompts=("a" * 1_000_001,))), "prompt"),
    ],
)
async def test_what_has_no_tokens_is_refused_by_name(vllm: Any, job: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await told(vllm, job)
    assert refused.value.param == param
