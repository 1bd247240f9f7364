"""The background sits out the steps of others, and nothing of it is lost; see server/engines/vllm/scheduler.py."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.engines.vllm import engine_args
from server.engines.vllm.scheduler import LATELY, TURN, YieldingAsyncScheduler, YieldingScheduler
from tests.engines.vllm.scheduling import Core, whole

KINDS = [
    pytest.param({}, id="processor"),
    pytest.param({"ahead": True}, id="ahead"),
    pytest.param({"ahead": True, "slots": True}, id="ahead-slots"),
]


def batch(core: Core, count: int, prompt: int = 8, answer: int = 60) -> set[str]:
    names = [f"batch-{number}" for number in range(count)]
    for number, name in enumerate(names):
        core.background(name, prompt, answer, rank=number)
    return set(names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chat_has_the_very_next_step_and_the_batch_goes_on_where_it_stood(kind: dict[str, Any]) -> None:
    core = Core(places=4, **kind)
    names = batch(core, 6)
    for _ in range(5):
        assert core.step() < names
    core.ask("chat", 8, 10)
    beside = [core.step() for _ in range(10)]
    assert beside[0] == {"chat"}
    assert all(step <= {"chat"} for step in beside)
    core.until_done()
    assert core.said["chat"] == whole("chat", 8, 10)
    for name in names:
        assert core.said[name] == whole(name, 8, 60)
    preempted = [request.num_preemptions for request in core.scheduler.requests.values()]
    assert preempted == []  # nothing is kept of what is done


def test_those_who_sit_out_keep_what_was_computed() -> None:
    core = Core(places=4)
    names = batch(core, 4, prompt=40)
    for _ in range(8):
        core.step()
    blocks = core.scheduler.kv_cache_manager.block_pool.get_num_free_blocks()
    core.ask("chat", 8, 4)
    core.step()
    assert core.scheduler.kv_cache_manager.block_pool.get_num_free_blocks() == blocks - 1
    assert all(core.scheduler.requests[name].num_preemptions == 0 for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_in_sixteen_is_also_the_batchs(kind: dict[str, Any]) -> None:
    core = Core(places=8, **kind)
    names = batch(core, 4, answer=40)
    for _ in range(3):
        core.step()
    core.ask("chat", 8, 10 * TURN)
    steps = [core.step() for _ in range(6 * TURN)]
    turns = [place for place, step in enumerate(steps) if step & names]
    # The first turn is put off: the chat's prompt was not read yet.
    assert [b - a for a, b in pairwise(turns)] == [TURN] * (len(turns) - 1)
    assert len(turns) >= 5
    assert all("chat" in steps[place] for place in turns)
    assert all(steps[place] >= names for place in turns)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_advances_where_chats_have_taken_all_places(kind: dict[str, Any]) -> None:
    core = Core(places=4, **kind)
    for number in range(4):
        core.ask(f"chat-{number}", 8, 200, rank=number)
    for _ in range(3):
        core.step()
    batch(core, 2, answer=4)
    for number in range(4, 8):  # and some wait in the engine, as the parts of a wide request do
        core.ask(f"chat-{number}", 8, 200, rank=number)
    for _ in range(24 * TURN):
        core.step()
    assert core.said["batch-0"] == whole("batch-0", 8, 4)
    core.until_done()
    for number in range(8):
        assert core.said[f"chat-{number}"] == whole(f"chat-{number}", 8, 200)


def test_the_worst_chat_stands_back_for_that_step() -> None:
    core = Core(places=4)
    names = batch(core, 1)
    core.step()
    for number in range(4):
        core.ask(f"chat-{number}", 8, 100, rank=number)
    steps = [core.step() for _ in range(4 * TURN)]
    assert next(sorted(step - names) for step in steps if step & names) == ["chat-0", "chat-1", "chat-2"]


def test_a_turn_of_the_batch_is_bounded_in_tokens() -> None:
    core = Core(places=4, tokens=160)
    core.background("long", 400, 4)
    core.ask("chat", 8, 200)
    for _ in range(6 * TURN):
        core.step()
    read = [step["long"] for step in core.steps if "long" in step]
    assert read == [5] * len(read)  # a part of 32 of a step
    assert len(read) >= 5


def test_steps_of_a_batch_are_short_while_chats_come() -> None:
    core = Core(places=8, tokens=160)
    core.background("first", 300, 4)
    core.step()
    assert core.steps[-1] == {"first": 160}  # nobody has come for a long time
    core.ask("chat", 8, 1)
    core.until("chat")
    core.step()
    core.step()
    assert core.steps[-2:] == [{"first": 5}] * 2
    core.now += LATELY
    core.step()
    assert core.steps[-1] == {"first": 130}


def test_how_short_is_learnt_from_the_steps_themselves() -> None:
    """A step takes 50 ms, and 3 ms for each token."""
    core = Core(places=32, tokens=512, lasts=lambda tokens: 0.05 + 0.003 * tokens)
    names = batch(core, 32, prompt=20, answer=100)
    for _ in range(20):
        core.step()
    core.ask("chat", 8, 6)
    core.until("chat")
    for _ in range(10):
        assert core.step() < names
        assert sum(core.steps[-1].values()) == 8  # half of 50 ms
    core.background("long", 500, 4)
    for _ in range(400):
        core.step()
    assert max(sum(step.values()) for step in core.steps[-400:]) == 150  # ten times 50 ms


def test_an_idle_time_is_no_step() -> None:
    core = Core(places=4, lasts=lambda tokens: 0.05 + 0.003 * tokens)
    for number in range(20):
        core.background(f"batch-{number}", 8 + number % 3, 3)
        core.until_done()
        core.now += 100
    assert core.scheduler._pace.tokens(2.0) == pytest.approx(0.05 / 0.003)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chat_has_the_memory_that_a_batch_holds(kind: dict[str, Any]) -> None:
    core = Core(places=4, blocks=21, **kind)  # 20 blocks of 16 tokens
    names = batch(core, 4, prompt=70, answer=8)  # 5 blocks each, so none is free
    while core.scheduler.kv_cache_manager.block_pool.get_num_free_blocks():
        core.step()
    core.ask("chat", 64, 10)
    core.step()
    assert core.steps[-1] == {"chat": 64}
    held = [core.scheduler.requests[name].num_preemptions for name in sorted(names)]
    assert held == [0, 0, 0, 1]  # the worst, and no more than it takes
    core.until_done()
    for name in names:
        assert core.said[name] == whole(name, 70, 8)
    assert core.said["chat"] == whole("chat", 64, 10)


def test_a_chat_that_grows_takes_memory_of_the_batch() -> None:
    core = Core(places=4, blocks=21)
    names = batch(core, 3, prompt=90, answer=6)
    for _ in range(6):
        core.step()
    core.ask("chat", 8, 150)
    core.until_done()
    assert core.said["chat"] == whole("chat", 8, 150)
    for name in names:
        assert core.said[name] == whole(name, 90, 6)


def test_who_sits_out_can_be_aborted() -> None:
    core = Core(places=4)
    batch(core, 4)
    for _ in range(4):
        core.step()
    core.ask("chat", 8, 30)
    core.step()
    free = core.scheduler.kv_cache_manager.block_pool.get_num_free_blocks()
    core.abort("batch-2")
    core.step()
    assert core.scheduler.kv_cache_manager.block_pool.get_num_free_blocks() > free
    core.abort("chat")
    core.now += LATELY
    assert core.step() == {"batch-0", "batch-1", "batch-3"}
    core.until_done()
    assert "batch-2" not in core.ended


def test_a_batch_goes_on_while_a_chats_grammar_is_made() -> None:
    from vllm.v1.request import RequestStatus

    core = Core(places=4)
    names = batch(core, 2)
    core.step()
    core.ask("chat", 8, 4)
    chat = core.scheduler.requests["chat"]
    chat.status = RequestStatus.WAITING_FOR_STRUCTURED_OUTPUT_GRAMMAR
    assert core.step() == names
    chat.status = RequestStatus.WAITING
    assert core.step() == {"chat"}


def test_a_batchs_beginning_is_looked_up_in_the_cache() -> None:
    core = Core(places=4, tokens=256)
    shared = list(range(100, 196))
    core.background("first", [*shared, 1], 2)
    core.until("first")
    core.background("second", [*shared, 2], 2)
    core.step()
    assert core.steps[-1] == {"second": 1}


def test_no_step_has_more_adapters_than_the_model_holds() -> None:
    from vllm.lora.request import LoRARequest

    core = Core(places=8, loras=1)
    german, latin = (LoRARequest(name, number, "/nowhere") for number, name in ((1, "german"), (2, "latin")))
    for number in range(3):
        core.background(f"german-{number}", 8, 30, lora_request=german)
    core.background("plain", 8, 30)
    core.step()
    core.ask("chat", 8, 5 * TURN, lora_request=latin)
    steps = [core.step() for _ in range(3 * TURN)]
    assert {"chat", "plain"} in steps
    assert not [step for step in steps if "chat" in step and any("german" in name for name in step)]
    core.until_done()
    assert core.said["german-2"] == whole("german-2", 8, 30)


def test_a_step_in_which_no_chat_can_go_on_is_followed_by_one_of_the_batch() -> None:
    from vllm.v1.core.sched.interface import PauseState

    core = Core(places=4)
    names = batch(core, 2, answer=20)
    core.step()
    core.scheduler.set_pause_state(PauseState.PAUSED_NEW)  # who is at work is to end, and nobody begins
    core.ask("chat", 8, 4)
    assert [core.step() for _ in range(4)] == [set(), names] * 2
    for _ in range(40):
        core.step()
    assert core.ended.keys() == names
    core.scheduler.set_pause_state(PauseState.UNPAUSED)
    core.until_done()
    assert core.said["chat"] == whole("chat", 8, 4)


REQUESTS = st.tuples(st.booleans(), st.integers(1, 90), st.integers(1, 40), st.integers(0, 3))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(
    places=st.integers(1, 6), blocks=st.integers(10, 40), tokens=st.integers(16, 80),
    events=st.lists(st.one_of(REQUESTS, st.integers(0, 40), st.just("abort")), max_size=30),
)  # fmt: skip
def test_whatever_comes_every_answer_is_whole(
    kind: dict[str, Any], places: int, blocks: int, tokens: int, events: list[Any]
) -> None:
    core = Core(places=places, blocks=blocks, tokens=max(tokens, places), **kind)
    lengths: dict[str, tuple[int, int]] = {}
    aborted: set[str] = set()
    for number, event in enumerate(events):
        if event == "abort":
            if open_ones := sorted(lengths.keys() - core.ended.keys() - aborted):
                core.abort(open_ones[number % len(open_ones)])
                aborted.add(open_ones[number % len(open_ones)])
        elif isinstance(event, int):
            for _ in range(event):
                if core.scheduler.has_requests():
                    core.step()
        else:
            low, prompt, answer, rank = event
            name = f"{'batch' if low else 'chat'}-{number}"
            (core.background if low else core.ask)(name, prompt, answer, rank=rank)
            lengths[name] = prompt, answer
    core.until_done()
    for name, (prompt, answer) in lengths.items():
        expected = whole(name, prompt, answer)
        if name in aborted:
            assert core.said[name] == expected[: len(core.said[name])]
        else:
            assert core.said[name] == expected
    assert core.scheduler.kv_cache_manager.block_pool.get_num_free_blocks() == blocks - 1


def test_which_scheduler_it_is_follows_vllms_own_choice() -> None:
    from vllm.config import SchedulerConfig

    config = SchedulerConfig(max_model_len=512, is_encoder_decoder=False, policy="priority")
    for ahead, expected in ((False, YieldingScheduler), (True, YieldingAsyncScheduler)):
        config.async_scheduling, config.scheduler_cls = ahead, None
        config.scheduler_cls = engine_args.scheduler(config)
        assert config.get_scheduler_cls() is expected
    assert engine_args.scheduler(config) is None  # one is chosen
    config.scheduler_cls, config.policy = None, "fcfs"
    assert engine_args.scheduler(config) is None


PACE: dict[str, Any] = {"tokens": 512, "lasts": lambda tokens: 0.05 + 0.0025 * tokens, "context": 2048}
"""A step takes 50 ms, and 2.5 ms for each token: 20 tokens make it twice as long."""


def answering(count: int, **kind: Any) -> Core:
    """A core that answers so many, and knows how long its steps take."""
    core = Core(places=32, **PACE, **kind)
    for number in range(count):
        core.ask(f"chat-{number}", 8 + number, 400)
    for _ in range(20):
        core.step()
    assert all(core.said.values())
    return core


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_prompt_makes_the_steps_of_others_no_more_than_twice_as_long(kind: dict[str, Any]) -> None:
    core = answering(8, **kind)
    core.ask("long", 1500, 4)
    begun = len(core.steps)
    core.until("long")
    read = [step for step in core.steps[begun:] if step.get("long", 0) > 1]
    assert sum(step["long"] for step in read) >= 1500 - 1
    assert read[0]["long"] == 16  # till the pace is known better
    assert {step["long"] for step in read[1:-1]} <= {20, 21}  # 0.75 x (50 + 8 x 2.5) ms of them
    assert all(step.keys() >= {f"chat-{number}" for number in range(8)} for step in read)
    core.until_done()
    assert core.said["long"] == whole("long", 1500, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_prompt_is_read_whole_beside_a_long_one(kind: dict[str, Any]) -> None:
    core = answering(4, **kind)
    core.ask("long", 1500, 4)
    for _ in range(5):
        core.step()
    core.ask("short", 60, 4)
    core.step()
    assert core.steps[-1]["short"] == 60
    assert core.steps[-1]["long"] == 60  # which goes on all the same
    core.step()
    assert core.steps[-1]["long"] < 60


def test_of_several_long_prompts_one_is_read_at_a_time() -> None:
    core = answering(4)
    core.ask("long-0", 1000, 4)
    core.ask("long-1", 1000, 4)
    core.until("long-0")
    parts = [step for step in core.steps if step.get("long-0", 0) > 1]
    assert not [step for step in parts[:-1] if "long-1" in step]
    core.until_done()
    assert core.said["long-1"] == whole("long-1", 1000, 4)


def test_a_long_prompt_that_nobody_waits_for_has_whole_steps() -> None:
    core = Core(places=32, **PACE)
    core.ask("long", 1500, 4)
    core.until("long")
    assert [step["long"] for step in core.steps[:3]] == [512, 512, 476]


def test_a_short_prompt_need_not_wait_for_a_long_one_that_is_being_read() -> None:
    core = Core(places=32, **PACE)
    core.ask("long", 1500, 4)
    core.step()
    core.ask("short", 60, 4)
    core.step()
    assert core.steps[-1] == {"long": 512 - 60, "short": 60}


def test_short_prompts_that_come_together_fill_a_step() -> None:
    core = answering(4)
    new = {f"new-{number}": 40 for number in range(12)}
    for name in new:
        core.ask(name, 40, 4)
    core.step()
    assert core.steps[-1] == new | {f"chat-{number}": 1 for number in range(4)}
