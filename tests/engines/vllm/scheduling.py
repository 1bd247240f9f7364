"""Our schedulers without a model: vLLM's own queue and cache, and a model runner that makes its tokens up."""

import json
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from server.core.caller import CLASS

BLOCK = 16
CONTEXT = 512


def token(name: str, place: int) -> int:
    """What the made-up model says at this place of a request's text: it depends on nothing else."""
    return (sum(name.encode()) * 31 + place * 7) % 900 + 10


class Core:
    """vLLM's core around a scheduler: one step at a time, or, with `ahead`, the next is scheduled while one is under
    way (vllm/v1/engine/core.py, step and step_with_batch_queue).

    It holds that no step has more sequences than places, that each goes on exactly where it stood, and that the model
    runner never has more requests than slots. steps: the names of each step, with their tokens. said: each request's
    tokens so far.
    """

    def __init__(
        self,
        *,
        places: int = 4,
        tokens: int = 64,
        blocks: int = 1000,
        ahead: bool = False,
        slots: bool = False,
        loras: int = 0,
        lasts: Callable[[int], float] = lambda tokens: 0.0,
        context: int = CONTEXT,
    ) -> None:
        """lasts: seconds that a step of so many tokens takes, by this core's clock, `now`. context: the model's."""
        self.now = 0.0
        self._lasts = lasts
        self.places, self.slots = places, slots
        self.scheduler = _scheduler(self, places, tokens, blocks, ahead, slots, loras, context)
        self.depth = 2 if ahead else 1
        self.under_way: deque[tuple[Any, dict[str, int]]] = deque()
        self.steps: list[dict[str, int]] = []
        self.said: dict[str, list[int]] = {}
        self.ended: dict[str, str] = {}
        self._length: dict[str, int] = {}
        self._computed: dict[str, int] = {}

    def ask(self, name: str, prompt: int | list[int] = 8, answer: int = 8, *, rank: int = 0, **more: Any) -> None:
        """A request of this name and rank. prompt: its length, of a text of its own, or its tokens."""
        from vllm.sampling_params import SamplingParams
        from vllm.v1.core.kv_cache_utils import get_request_block_hasher
        from vllm.v1.request import Request

        ids = [token(name, place) + 1000 for place in range(prompt)] if isinstance(prompt, int) else prompt
        sampling = SamplingParams(max_tokens=answer, ignore_eos=True, temperature=0.0)
        request = Request(
            request_id=name, prompt_token_ids=ids, sampling_params=sampling, pooling_params=None, priority=rank,
            arrival_time=float(len(self.said)), block_hasher=get_request_block_hasher(BLOCK, _hash), **more,
        )  # fmt: skip
        self.said[name] = []
        self.scheduler.add_request(request)

    def background(self, name: str, *lengths: Any, rank: int = 0, **more: Any) -> None:
        self.ask(name, *lengths, rank=CLASS + rank, **more)

    def abort(self, name: str) -> None:
        from vllm.v1.request import RequestStatus

        self.scheduler.finish_requests(name, RequestStatus.FINISHED_ABORTED)

    def step(self) -> set[str]:
        """One step; who was in it."""
        output = self.scheduler.schedule()
        scheduled = dict(output.num_scheduled_tokens)
        self.under_way.append((output, self._run(output)))
        self.steps.append(scheduled)
        if len(self.under_way) == self.depth:
            self._take()
        return set(scheduled)

    def until(self, name: str) -> None:
        """Steps until that request has ended, and the scheduler knows it."""
        for _ in range(5000):
            if name in self.ended:
                return
            self.step()
        raise AssertionError(f"{name} does not end")

    def until_done(self, most: int = 5000) -> None:
        for _ in range(most):
            if not self.scheduler.has_requests() and not self.under_way:
                return
            if not self.scheduler.has_requests():
                self._take()
            else:
                self.step()
        raise AssertionError(f"not done after {most} steps: {sorted(self.said.keys() - self.ended.keys())}")

    def _run(self, output: Any) -> dict[str, int]:
        """What the model runner does with a step: the tokens that it makes."""
        gone = set(output.finished_req_ids) | (set(output.preempted_req_ids or ()) if self.slots else set())
        for name in gone:
            self._length.pop(name, None)
            self._computed.pop(name, None)
        for new in output.scheduled_new_reqs:
            known = new.prefill_token_ids if self.slots else new.prompt_token_ids
            self._length[new.req_id], self._computed[new.req_id] = len(known), new.num_computed_tokens
        cached = output.scheduled_cached_reqs
        for name, computed, said in zip(
            cached.req_ids, cached.num_computed_tokens, cached.num_output_tokens, strict=True
        ):
            if name in cached.resumed_req_ids:
                self._length[name] = len(self.scheduler.requests[name].prompt_token_ids) + said
            else:
                assert computed == self._computed[name], f"{name} goes on at {computed} and stood at {self._computed}"
            self._computed[name] = computed
        scheduled = output.num_scheduled_tokens
        assert len(scheduled) <= self.places
        if self.slots:
            assert len(self._length) <= self.places
        made = {}
        for name, count in scheduled.items():
            self._computed[name] += count
            assert self._computed[name] <= self._length[name]
            if self._computed[name] == self._length[name]:
                made[name] = token(name, self._length[name])
                self._length[name] += 1
        return made

    def _take(self) -> None:
        """The tokens of the oldest step reach the scheduler, and those who asked."""
        from vllm.v1.outputs import ModelRunnerOutput

        output, made = self.under_way.popleft()
        self.now += self._lasts(output.total_num_scheduled_tokens)
        names = list(output.num_scheduled_tokens)
        found = ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: index for index, name in enumerate(names)},
            sampled_token_ids=[[made[name]] if name in made else [] for name in names],
        )
        for outputs in self.scheduler.update_from_output(output, found).values():
            for one in outputs.outputs:
                self.said[one.request_id] += one.new_token_ids
                if one.finish_reason is not None:
                    self.ended[one.request_id] = str(one.finish_reason)


def whole(name: str, prompt: int, answer: int) -> list[int]:
    """The answer of a request that nothing disturbed."""
    return [token(name, prompt + place) for place in range(answer)]


def _hash(value: object) -> bytes:
    from vllm.utils.hashing import sha256

    return bytes(sha256(value))


@cache
def _model(context: int) -> Path:
    """A model that consists of its config."""
    folder = Path(mkdtemp())
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 64,
        "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1, "vocab_size": 4096,
        "max_position_embeddings": context, "torch_dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _scheduler(
    core: Core, places: int, tokens: int, blocks: int, ahead: bool, slots: bool, loras: int, context: int
) -> Any:
    import torch
    from vllm.config import CacheConfig, LoRAConfig, ModelConfig, SchedulerConfig, VllmConfig
    from vllm.v1.core.kv_cache_utils import init_none_hash
    from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
    from vllm.v1.structured_output import StructuredOutputManager

    from server.engines.vllm.scheduler import YieldingAsyncScheduler, YieldingScheduler

    init_none_hash(_hash)
    path = str(_model(context))
    model = ModelConfig(model=path, dtype="float32", max_model_len=context, skip_tokenizer_init=True, seed=0)
    config = VllmConfig(
        model_config=model,
        scheduler_config=SchedulerConfig(
            max_num_seqs=places, max_num_batched_tokens=tokens, max_model_len=context, is_encoder_decoder=False,
            policy="priority",
        ),
        cache_config=CacheConfig(block_size=BLOCK, enable_prefix_caching=True),
        lora_config=LoRAConfig(max_loras=loras, max_lora_rank=8) if loras else None,
    )  # fmt: skip
    # A processor's build schedules one step after the other, with the older model runner; GPUs have the others.
    config.scheduler_config.async_scheduling = ahead
    config.cache_config.num_gpu_blocks = blocks
    spec = FullAttentionSpec(block_size=BLOCK, num_kv_heads=1, head_size=1, dtype=torch.float32)
    made = YieldingAsyncScheduler if ahead else YieldingScheduler
    scheduler = made(
        vllm_config=config,
        kv_cache_config=KVCacheConfig(blocks, [], [KVCacheGroupSpec(["layer"], spec)]),
        structured_output_manager=StructuredOutputManager(config),
        block_size=BLOCK,
        clock=lambda: core.now,
    )
    if slots:
        scheduler.use_v2_model_runner = True
        scheduler.max_num_running_reqs = places
    return scheduler
