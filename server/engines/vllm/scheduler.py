"""vLLM's scheduler, in which the background yields within one step, and long prompts are read beside the answers of
others rather than between them. It runs in vLLM's core.

vLLM itself lets a better request begin first and preempts the worst one where memory is short, but whoever is at work
takes part in every step. A step of 32 answers takes twice as long as a step of one on two cores, and each of its tokens
waits for that. Here requests of the background (`Engine.behind`, a rank of CLASS or more) keep their KV cache and sit
out the steps in which better ones have something to do. And vLLM reads of a prompt what a step can hold, which makes
it ten or twenty times as long as the steps of those who are being answered. Here it reads of a long one what makes the
step twice as long.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.request_queue import PriorityRequestQueue
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import RequestStatus

from server.core.caller import CLASS
from server.engines.vllm.pace import Pace

if TYPE_CHECKING:
    from vllm.v1.core.kv_cache_manager import KVCacheBlocks
    from vllm.v1.core.sched.output import SchedulerOutput
    from vllm.v1.request import Request

TURN = 16
"""While better requests are at work, the background takes part in one step of so many: a batch that stood still for
hours would expire."""
SHARE = 4
"""In its turn it has what is free, and a quarter of the places where better ones have taken all."""
LEAST = 8
"""Part of the places that answers of the background go on at least, in a step that it may have."""
SHORT, LONG = 1.5, 10.0
"""Lengths of the background's steps, as multiples of a step of one token. Short ones are for times in which better
requests come: each of them waits for half a step on average. The long ones cost a batch of prompts alone a tenth of
its throughput at most, against steps without end."""
BESIDE = 1.75
"""Length that a step in which a long prompt is read beside answers is to have, as a multiple of what it is without.
Twice is what they should have at most: what a part takes grows as its prompt is read, and is known of earlier ones."""
FEW = 32
"""A short step's tokens while the pace is unknown: a part of so many of a whole step's, or half the places."""
LATELY = 10.0
"""Seconds after a better request in which another one may come."""


@dataclass(slots=True)
class Step:
    """What may happen in one step. sits_out: those at work that may not go on. gives_up: who leaves its place at work
    before it. tokens: of the whole step, None for vLLM's own limit. each: of one prompt, where there are several
    requests; 0 for no limit. better, background: whether those that wait may begin."""

    sits_out: "list[Request]" = field(default_factory=list)
    gives_up: "Request | None" = None
    tokens: int | None = None
    each: int = 0
    better: bool = True
    background: bool = True


def in_background(request: "Request") -> bool:
    return bool(request.priority >= CLASS)


class YieldingScheduler(Scheduler):  # type: ignore[misc]  # vLLM is untyped here
    """Needs `scheduling_policy="priority"`.

    Invariants: no step has more sequences than vLLM's limit, of which each class may have as many at work; whoever sits
    out keeps its KV cache, unless a better one needs it; a step that would be empty is the background's; beside
    answers, one long prompt is read at a time.
    """

    running: "list[Request]"
    waiting: PriorityRequestQueue
    max_num_active_reqs: int
    max_num_running_reqs: int
    max_num_scheduled_tokens: int

    def __init__(self, *args: Any, clock: Callable[[], float] = time.monotonic, **named: Any) -> None:
        super().__init__(*args, **named)
        self._clock = clock
        self._places = self.max_num_active_reqs
        # V1's model runner knows those by name only that are not in a step (vllm/v1/worker/gpu_model_runner.py,
        # _update_states); V2's has a slot for each request at work (vllm/v1/worker/gpu/states.py).
        if not self.use_v2_model_runner:
            self.max_num_running_reqs = max(self.max_num_running_reqs, 2 * self._places)
        self._whole_step = self.max_num_scheduled_tokens
        # Where prompts can't be cut at any place, a small budget might never be enough for one.
        config = self.scheduler_config
        self._cuts = config.enable_chunked_prefill and not (
            self.need_mamba_block_aligned_split or config.disable_chunked_mm_input
        )
        self._pace = Pace()
        self._part = 0  # the last one of a long prompt
        # The tokens of the last steps, since the one that has just ended, and when the last one was scheduled.
        self._under_way = deque[int](maxlen=self.vllm_config.max_concurrent_batches)
        self._scheduled_at = 0.0
        self._steps_without = 0
        self._seen = float("-inf")
        self._empty = False
        self._victims: list[Request] = []
        self._aside = PriorityRequestQueue()
        self._allocated = self.kv_cache_manager.allocate_slots
        self.kv_cache_manager.allocate_slots = self._allocate

    def schedule(self, throttle_prefills: bool = False) -> "SchedulerOutput":
        self._look_at_the_clock()
        output = self._schedule(throttle_prefills)
        self._under_way.append(output.total_num_scheduled_tokens)
        return output

    def _look_at_the_clock(self) -> None:
        """Learn how long the step was that has just ended. What began after an idle time is no measure."""
        now = self._clock()
        if self.running and len(self._under_way) == self._under_way.maxlen and all(self._under_way):
            self._pace.saw(self._under_way[0], now - self._scheduled_at)
        elif not self.running:
            self._under_way.clear()
        self._scheduled_at = now

    def _schedule(self, throttle_prefills: bool) -> "SchedulerOutput":
        better = [request for request in self.running if not in_background(request)]
        below = [request for request in self.running if in_background(request)]
        waits = [request for queue in (self.kv_holding_waiting, self.waiting) for request in queue]
        if better or not all(map(in_background, waits)):
            self._seen = self._clock()
        newcomers = [one for one in waits if not in_background(one) and self._can_begin(one)]
        if not below and not any(map(in_background, waits)):
            self._steps_without, self._empty = 0, False
            limits = self._beside(better, newcomers)
            self.running = better
            with self._within(*limits):
                return super().schedule(throttle_prefills)
        self._make_slots(better, below, newcomers)
        step = self._step(better, below, newcomers)
        return self._carry_out(step, better, below, throttle_prefills)

    # ------------------------------------------------------------ what is decided

    def _step(self, better: "list[Request]", below: "list[Request]", newcomers: "list[Request]") -> Step:
        if self._empty or not (newcomers or any(map(self._has_work, better))):
            self._steps_without = 0
            beyond = below[self._places - sum(map(self._has_work, better)) :]
            times = SHORT if self._clock() - self._seen < LATELY else LONG
            return Step(sits_out=beyond, tokens=self._tokens(times), background=not beyond)
        self._steps_without += 1
        reads = bool(newcomers) or any(request.is_prefill_chunk for request in better)
        # Rather in a step for which nobody waits who has no token yet.
        if self._steps_without < (2 * TURN if reads else TURN):
            tokens, each = self._beside(better, newcomers)
            return Step(sits_out=below, tokens=tokens, each=each, background=False)
        self._steps_without = 0
        return self._turn(better, below, newcomers)

    def _turn(self, better: "list[Request]", below: "list[Request]", newcomers: "list[Request]") -> Step:
        """A step in which both classes go on."""
        free = self._places - len(better) - len(newcomers)
        least = max(1, self._places // SHARE)
        crowded = free < min(least, max(1, len(below)))
        stand_back: list[Request] = []
        if crowded:
            free = least
            beyond = len(better) + least - self._places
            stand_back = sorted(better)[len(better) - beyond :] if beyond > 0 else []
            newcomers = []
        gives_up = None
        if not below and len(better) >= self.max_num_running_reqs:
            gives_up = stand_back.pop()
        go_on = [request for request in better if request not in stand_back and request is not gives_up]
        chosen = self._within_loras(go_on + newcomers, below)[:free]
        left = [request for request in below if request not in chosen]
        others, each = self._beside(go_on, newcomers)
        if others is None:
            others = sum(map(_next_tokens, go_on + newcomers))
        tokens = self._tokens(SHORT, others)
        # Who waits may only begin where nobody at work is left out: else there would be more at work than places.
        return Step(stand_back + left, gives_up, tokens, each, better=not crowded, background=not left)

    def _beside(self, better: "list[Request]", newcomers: "list[Request]") -> tuple[int | None, int]:
        """How long prompts are read beside others: the limits of the step's tokens, and of one prompt's; None and 0 for
        no limit. Puts the long ones at work behind the others.

        Beside answers a step becomes up to twice as long as it would be. A short prompt is read whole, and meanwhile
        the long one has as much as the longest of those. Where nobody is answered yet, it leaves the short ones their
        part.
        """
        newcomers = newcomers[: max(0, self._places - len(better))]
        if not self._cuts or not (newcomers or any(request.is_prefill_chunk for request in better)):
            self._part = 0
            return None, 0
        answered = sum(not request.is_prefill_chunk for request in better)
        few = max(self._whole_step // FEW, self._places // LEAST)
        share, whole = self._pace.tokens_of_a_prompt(BESIDE), self._pace.tokens(LONG)
        some = few if share is None else max(int(share + (BESIDE - 1) * answered), self._places // LEAST)
        longest = min(self._whole_step, max(some, int(whole or self._whole_step)))
        # Steps of answers only say little about what a further token takes.
        self._part = some = min(some, max(few, 2 * self._part))
        # What did not fit into one step is read on in small parts, to its end.
        long = [one for one in better if _next_tokens(one) > (some if one.is_prefill_chunk else longest)]
        short = [one for one in better if one not in long]
        parts = [_next_tokens(one) for one in (*short, *newcomers)]
        parts = [part for part in parts if part <= longest]
        if not parts or len(parts) == len(better) + len(newcomers):  # a long one is alone, or there is none
            return None, 0
        better[:] = short + long
        if not answered:
            return None, max(self._whole_step - sum(parts), self._whole_step // 2)
        each = max(some, *parts)
        return min(self._whole_step, sum(parts) + each), each

    @contextmanager
    def _within(self, tokens: int | None, each: int) -> Iterator[None]:
        """vLLM's own limits, for a step."""
        config = self.scheduler_config
        before = config.long_prefill_token_threshold
        if tokens is not None:
            self.max_num_scheduled_tokens = tokens
        if each:
            config.long_prefill_token_threshold = min(each, before or each)
        try:
            yield
        finally:
            self.max_num_scheduled_tokens = self._whole_step
            config.long_prefill_token_threshold = before

    def _tokens(self, times: float, others: int = 0) -> int | None:
        """The limit of a step that the background makes so many times as long as it has to be."""
        if not self._cuts:
            return None
        most = self._pace.tokens(times)
        if most is None:
            most = max(self._places // 2, self._whole_step // FEW) if times == SHORT else self._whole_step
        return min(self._whole_step, others + max(self._places // LEAST, int(most), 1))

    def _within_loras(self, others: "Sequence[Request]", below: "Sequence[Request]") -> "list[Request]":
        """Those that can be in one step with others: the model holds so many adapters at once."""
        if not self.lora_config:
            return list(below)
        used = {request.lora_request.lora_int_id for request in others if request.lora_request}
        chosen = []
        for request in below:
            if request.lora_request is not None:
                used_then = used | {request.lora_request.lora_int_id}
                if len(used_then) > self.lora_config.max_loras:
                    continue
                used = used_then
            chosen.append(request)
        return chosen

    def _has_work(self, request: "Request") -> bool:
        """Whether a request at work needs a further step: the last one may be under way (as Scheduler.schedule has
        it)."""
        under_way = request.num_output_placeholders
        done = request.num_computed_tokens + 2 - under_way >= request.num_prompt_tokens + request.max_tokens
        return not (under_way > 0 and done)

    def _can_begin(self, request: "Request") -> bool:
        """Whether one that waits could be in this step, without a change of its state."""
        if request.status == RequestStatus.WAITING_FOR_STRUCTURED_OUTPUT_GRAMMAR:
            form = request.structured_output_request
            return form is not None and form.grammar is not None and not isinstance(form.grammar, Exception)
        if request.status == RequestStatus.WAITING_FOR_REMOTE_KVS:
            return request.request_id in self.finished_recving_kv_req_ids
        if request.status == RequestStatus.WAITING_FOR_STREAMING_REQ:
            return False
        return not request.num_stale_output_tokens or bool(request.drop_stale_output)

    # ------------------------------------------------------------ what is done

    def _carry_out(
        self, step: Step, better: "list[Request]", below: "list[Request]", throttle_prefills: bool
    ) -> "SchedulerOutput":
        self.running = better + below
        if step.gives_up is not None:
            self._preempt(step.gives_up)
        for request in step.sits_out:
            # vLLM's own lever: it is not looked at in steps before this one.
            request.next_decode_eligible_step = max(request.next_decode_eligible_step, self.current_step + 2)
            if self.scheduler_config.async_scheduling:
                request.spec_token_ids = []  # drafts that only the model runner knows, and of the last step only
        self._victims = [request for request in step.sits_out if in_background(request)]
        self.max_num_active_reqs = min(len(step.sits_out) + self._places, self.max_num_running_reqs)
        if not (step.better and step.background):
            self.waiting = self._set_aside(step)
        try:
            with self._within(step.tokens, step.each):
                output = super().schedule(throttle_prefills)
        finally:
            for request in self._aside:
                self.waiting.add_request(request)
            self._aside = PriorityRequestQueue()
            self._victims = []
            self.max_num_active_reqs = self._places
        # Whatever kept the better ones from going on, it is no reason to stand still.
        self._empty = not output.total_num_scheduled_tokens
        return output

    def _set_aside(self, step: Step) -> PriorityRequestQueue:
        """The queue without those that may not begin."""
        queue = PriorityRequestQueue()
        for request in self.waiting:
            may = step.background if in_background(request) else step.better
            (queue if may else self._aside).add_request(request)
        return queue

    def _make_slots(self, better: "list[Request]", below: "list[Request]", newcomers: "list[Request]") -> None:
        """Preempt the worst of the background where the model runner has no slot for a better one that may begin. One
        keeps its slot: else it would begin again with each of its turns."""
        begin = min(len(newcomers), self._places - len(better))
        lacking = len(better) + len(below) + begin - self.max_num_running_reqs
        for _ in range(min(lacking, len(below) - (1 if self._places > 1 else 0))):
            self._preempt_worst(below)

    def _preempt_worst(self, below: "list[Request]") -> "Request | None":
        """Take the worst of these out of its work and of the list; None if none can be."""
        free = [request for request in below if self._request_blocks_can_be_freed(request)]
        if not free:
            return None
        worst = max(free)
        below.remove(worst)
        self._preempt(worst)
        return worst

    def _preempt(self, request: "Request") -> None:
        self.running.remove(request)
        self._preempt_request(request, time.monotonic())

    def _allocate(self, request: "Request", *args: Any, **named: Any) -> "KVCacheBlocks | None":
        """KVCacheManager.allocate_slots, for which the background that sits out gives its blocks up.

        vLLM preempts for those at work only, and lets those that wait wait for memory.
        """
        blocks = self._allocated(request, *args, **named)
        while blocks is None and not in_background(request) and request.status != RequestStatus.RUNNING:
            worst = self._preempt_worst(self._victims)
            if worst is None:
                break
            # Not back into the queue from which this step's newcomers are taken.
            self.waiting.remove_request(worst)
            self._aside.add_request(worst)
            blocks = self._allocated(request, *args, **named)
        return blocks


class YieldingAsyncScheduler(YieldingScheduler, AsyncScheduler):  # type: ignore[misc]
    """The same where the next step is scheduled while the last one is under way."""


def _next_tokens(request: "Request") -> int:
    """What a request at work would take of the next step, if it may."""
    return int(request.num_tokens_with_spec + request.num_output_placeholders - request.num_computed_tokens)
