"""Sampling fields by vLLM's own checks, without its engine: every valid combination is drawn, every other is a 400."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.core import ChatJob
from server.engines.vllm import sampling
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.errors import InvalidRequest
from tests.api.vllm_fields import ELSEWHERE, HONOURED, IGNORED, REFUSED
from tests.engines.vllm.rendering import rendering

pytestmark = [pytest.mark.models]

HELLO = ({"role": "user", "content": "hello"},)
VOCABULARY = 49152


@pytest.fixture(scope="module")
def vllm() -> Iterator[Any]:
    renderer, processor = rendering()
    yield renderer, processor
    processor.renderer.shutdown()


@pytest.fixture(scope="module")
def drawn(vllm: Any) -> Callable[..., Any]:
    """A job's parameters, past all that VllmEngine.read does and what vLLM does when the request is added."""
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    from server.engines.vllm import releases

    _, processor = vllm
    prompt = {"type": "token", "prompt_token_ids": [1, 2, 3]}

    def parameters(defaults: dict[str, Any], room: int = 8000, **fields: Any) -> Any:
        job = ChatJob(**{"messages": HELLO, **fields})
        most = room if job.max_tokens is None else min(job.max_tokens, room)
        request = ChatCompletionRequest.model_validate({**sampling.fields(job), "messages": list(HELLO)})
        found = sampling.parameters(request, job, most, defaults)
        try:
            processor._validate_params(found, ("generate",))
        except releases.REFUSALS as error:
            raise InvalidRequest(str(error), param=sampling.named(error, job)) from None
        sampling.check(found, job, processor)
        # From here on nothing may be found: by now the answer has begun.
        processor.process_inputs("r", prompt, found, supported_tasks=("generate",))
        return found

    return parameters


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": some(st.integers(1, 10_000)),
        "temperature": some(st.sampled_from([0.0, 1e-9, 0.001, 0.7, 2.0]) | st.floats(0, 2)),
        "top_p": some(st.floats(0, 1, exclude_min=True)),
        "n": st.integers(1, 128),
        "stop": st.lists(st.text(min_size=1), max_size=4).map(tuple),
        "seed": some(st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-1, 2**63 - 1, -(2**63)])),
        "frequency_penalty": some(st.floats(-2, 2)),
        "presence_penalty": some(st.floats(-2, 2)),
        "logit_bias": some(st.dictionaries(st.integers(-1, VOCABULARY), st.floats(-100, 100), min_size=1, max_size=4)),
        "top_logprobs": some(st.integers(0, 20)),
        "top_k": some(st.integers(-1, 2**40)),
        "min_p": some(st.floats(0, 1)),
        "repetition_penalty": some(st.floats(0, 2, exclude_min=True)),
        "min_tokens": some(st.integers(0, 10_000)),
        "ignore_eos": st.booleans(),
        "stop_token_ids": st.lists(st.integers(0, VOCABULARY), max_size=64).map(tuple),
        "include_stop_str_in_output": st.booleans(),
        "skip_special_tokens": st.booleans(),
        "spaces_between_special_tokens": st.booleans(),
        "bad_words": st.lists(st.text(min_size=1, max_size=256), max_size=64).map(tuple),
        "allowed_token_ids": some(st.lists(st.integers(0, VOCABULARY), min_size=1, max_size=9).map(tuple)),
        "prompt_logprobs": some(st.integers(0, 20)),
        "cache_salt": some(st.text(st.characters(exclude_characters="@/\\\0"), min_size=1, max_size=128)),
    },
)
"""What the API lets through, with ids just beyond the vocabulary too."""
ODD = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            *("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty"),
            *("frequency_penalty", "max_tokens"),
        ),
        st.floats() | st.integers(-5, 5) | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=2),
    ),
)
"""A generation_config.json that anyone may have written."""


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(fields=FIELDS, said=ODD, room=st.integers(1, 8000))
def test_every_combination_is_drawn_or_refused_by_name(
    drawn: Callable[..., Any], fields: dict[str, Any], said: dict[str, Any], room: int
) -> None:
    defaults, _ = sampling.model_defaults(said)
    refused = None
    try:
        found = drawn(defaults, room, **fields)
    except InvalidRequest as error:
        refused = error.param
    if refused is not None:
        assert refused in fields
        return
    assert found.n == (1 if found.temperature == 0 else fields.get("n", 1))
    assert found.min_tokens <= found.max_tokens <= room
    assert found.seed is None or found.seed + found.n <= 2**63


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"min_tokens": 50, "max_tokens": 40}, "min_tokens"),
        ({"min_tokens": 9000}, "min_tokens"),
        ({"stop_token_ids": (VOCABULARY,)}, "stop_token_ids"),
        ({"allowed_token_ids": (VOCABULARY,)}, "allowed_token_ids"),
        ({"logit_bias": {VOCABULARY: 1.0}}, "logit_bias"),
        ({"stop_token_ids": tuple(range(128))}, "stop_token_ids"),
        ({"bad_words": tuple(f"{i} " + "x y z " * 9 for i in range(60))}, "bad_words"),
    ],
)
def test_what_vllm_finds_late_is_refused_before_it_runs(
    drawn: Callable[..., Any], fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        drawn({}, **fields)
    assert refused.value.param == param


ODD_DEFAULTS: dict[str, Any] = {
    "temperature": 3, "top_p": 0, "top_k": -5, "min_p": 2, "repetition_penalty": -1.0, "presence_penalty": 7,
    "frequency_penalty": float("nan"), "max_tokens": "many",
}  # fmt: skip


def test_defaults_that_can_not_be_kept_are_left_out_and_named(drawn: Callable[..., Any]) -> None:
    with pytest.raises(InvalidRequest):
        drawn(ODD_DEFAULTS)
    kept, wrong = sampling.model_defaults({**ODD_DEFAULTS, "top_k": 40})
    assert kept == {"top_k": 40}
    assert [line.partition(":")[0] for line in wrong] == [name for name in ODD_DEFAULTS if name != "top_k"]
    assert wrong[:2] == ["temperature: 3 is not at least 0 and at most 2", "top_p: 0 is not above 0 and at most 1"]
    assert drawn(kept).top_k == 40
    usual = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "repetition_penalty": 1.05}
    assert sampling.model_defaults(usual) == (usual, [])
    assert sampling.model_defaults({"min_p": 0.1}, speculative=True)[0] == {}


@pytest.mark.parametrize(
    ("said", "kept", "wrong"),
    [
        (None, [], 0),
        (2, [2], 0),
        ([2, 0], [2, 0], 0),
        ([2, 50_000, -1, "0", True], [2], 1),
        ("2", [], 1),
        ({"a": 2}, [], 1),
    ],
)
def test_end_tokens_that_the_model_does_not_know_are_left_out(said: Any, kept: list[int], wrong: int) -> None:
    found, complaints = sampling.end_tokens(said, VOCABULARY)
    assert (found, len(complaints)) == (kept, wrong)


def test_an_odd_file_is_warned_of_once_and_no_request_meets_it(
    vllm: Any, drawn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, processor = vllm
    odd = {"temperature": 3, "top_k": 7, "eos_token_id": [2, 2**20]}
    monkeypatch.setattr(type(processor.model_config), "try_get_generation_config", lambda _: dict(odd))
    monkeypatch.setattr(processor, "generation_config_fields", dict(odd))
    engine = VllmEngine(VllmOptions(name="odd", path=Path("odd")))
    engine._llm = SimpleNamespace(
        model_config=processor.model_config, input_processor=processor, vllm_config=processor.vllm_config
    )
    assert (defaults := engine._own_defaults()) == {"top_k": 7}
    (record,) = [record for record in caplog.records if record.name == "server.engines.vllm.engine"]
    told = "odd: left out of its generation_config.json: temperature: 3 is not at least 0 and at most 2; "
    assert record.getMessage() == told + "eos_token_id: [1048576] is no token of this model"
    assert drawn(defaults, min_tokens=3).top_k == 7
    assert processor.generation_config_fields["eos_token_id"] == [2]


def test_a_greedy_request_is_drawn_once(drawn: Callable[..., Any]) -> None:
    assert drawn({}, temperature=0.0, n=5).n == 1
    assert drawn({"temperature": 0.0}, n=5).n == 1
    assert drawn({"temperature": 0.0}, temperature=0.5, n=5).n == 5


def test_the_last_seeds_leave_room_for_those_of_further_choices(drawn: Callable[..., Any]) -> None:
    assert drawn({}, seed=2**63 - 1, n=3).seed == 2**63 - 3
    assert drawn({}, seed=2**63 - 1).seed == 2**63 - 1
    assert drawn({}, seed=-5, n=3).seed == -5


def test_each_field_of_vllms_chat_is_decided_upon() -> None:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    decided = [{one[0] for one in table} for table in (HONOURED, REFUSED, IGNORED)]
    known = set().union(ELSEWHERE, *decided)
    assert sorted(set(ChatCompletionRequest.model_fields) - known) == []
    assert sum(map(len, decided)) == len(set().union(*decided))


def test_a_text_that_repeats_itself_is_ended_only_where_that_is_asked_for(drawn: Callable[..., Any]) -> None:
    from vllm.sampling_params import SamplingParams, StructuredOutputsParams
    from vllm.v1.core.sched.utils import check_sequence_repetition

    assert drawn({}).repetition_detection is None
    formed = SamplingParams(structured_outputs=StructuredOutputsParams(json="{}"))
    request = SimpleNamespace(to_sampling_params=lambda most, defaults: formed)
    sampling.parameters(request, ChatJob(messages=HELLO, end_loops=True), 9, {})
    assert formed.repetition_detection is None
    ends = drawn({}, end_loops=True).repetition_detection
    for said, ended in (
        ([7] * 24, True),
        ([*range(100)] * 24, True),
        ([1, *[7] * 23], False),
        ([*range(129)] * 24, False),
    ):
        assert check_sequence_repetition(said, ends) is ended


# ---------------------------------------------------------------- answers that are alike


@pytest.mark.anyio
async def test_alike_answers_are_one_answer_each(vllm: Any) -> None:
    from vllm.outputs import CompletionOutput

    from server.engines.vllm.output import Alike, ForcedCall, Text

    def piece(text: str, ids: list[int], reason: str | None = None) -> Any:
        return CompletionOutput(0, text, ids, None, None, finish_reason=reason)

    alike = Alike([Text(0, None), ForcedCall(Text(1, None), 1, "go")])
    events = [event for one in (piece("{", [5]), piece("}", [6, 2], "stop")) for event in alike.feed(one)]
    assert alike.answers == 2
    assert [event.index for event in events] == [0, 1, 0, 0, 1, 1]  # type: ignore[union-attr]
    assert "".join(event.text for event in events if hasattr(event, "text")) == "{}"
    calls = [event for event in events if hasattr(event, "arguments")]
    assert ("".join(event.arguments for event in calls), calls[0].name) == ("{}", "go")
    assert sum(event.tokens for event in events) == 6  # type: ignore[union-attr]


@pytest.mark.anyio
async def test_ids_are_told_for_tokens_without_text(vllm: Any) -> None:
    from vllm.outputs import CompletionOutput

    from server.engines.vllm.output import RequiredCall, Text

    end = CompletionOutput(0, "", [2], None, None, finish_reason="stop")
    told = [event.ids for event in Text(0, None, ids=True).feed(end) if hasattr(event, "ids")]
    silent = [event for event in Text(0, None).feed(end) if hasattr(event, "ids")]
    assert (told, silent) == ([(2,)], [])
    head = CompletionOutput(0, '{"name": "go", "arguments": {', [7, 8], None, None)
    events = list(RequiredCall(Text(0, None, ids=True), 0).feed(head))
    assert [event.ids for event in events if hasattr(event, "ids")] == [(7, 8)]
    assert sum(event.tokens for event in events) == 2  # type: ignore[union-attr]
