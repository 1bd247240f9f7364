"""vLLM's AsyncLLM as an `Engine`."""

import asyncio
import copy
import itertools
import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import anyio

from server.core import ChatJob, CompletionJob, DetokenizeJob, Job, Sampling, TokenizeJob
from server.engines.base import Engine, Footprint, PrefixCache, Reading
from server.engines.devices import footprint
from server.engines.pulse import Patience
from server.engines.vllm import (
    adapters,
    caches,
    check,
    engine_args,
    environment,
    forkserver,
    hardware,
    libraries,
    processes,
    template,
    toolchain,
)
from server.engines.vllm.heartbeat import Heartbeat
from server.engines.vllm.options import VllmOptions
from server.engines.vllm.root_cause import RootCause, root_cause
from server.errors import InvalidRequest, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.metrics_core import Metric
    from vllm.sampling_params import SamplingParams

    from server.engines.vllm.completion import CompletionReading
    from server.engines.vllm.output import Choice
    from server.engines.vllm.prompt import Prompt
    from server.engines.vllm.reading import VllmReading
    from server.engines.vllm.stats import SchedulerCounts

log = logging.getLogger(__name__)

_BEGUN: "WeakSet[VllmEngine]" = WeakSet()
"""Those of this process whose load has begun and that have not stopped: the heap holds something of each."""


class VllmEngine(Engine):
    """One chat model. vLLM's core is a process of its own; a death there ends this engine and nothing else.

    patience: with a core that comes to no end of a step.
    """

    sleeps = True

    def __init__(self, options: VllmOptions, patience: Patience | None = None) -> None:
        self._options = options
        self._llm: Any = None
        self._counts: SchedulerCounts | None = None
        self._renderer: Any = None
        self._parser: Any = None
        self._defaults: dict[str, Any] = {}
        self._ids = itertools.count(1)
        self._adapters: dict[str, Any] = {}
        self._started = processes.Started()
        self._heartbeat = Heartbeat(options.name, self._watched, lambda: self._llm, patience or Patience())
        self._rank = 0

    # ------------------------------------------------------------ lifecycle

    async def start(self) -> None:
        _BEGUN.add(self)
        with root_cause() as root:
            failure = await self._start(root)
        # Raised here, where no other exception is at hand: its frames would keep the engine for as long as it is kept.
        if failure is not None:
            raise ModelUnavailable(f"The model could not be loaded: {failure}")

    async def _start(self, root: RootCause) -> str | None:
        """Build the engine in a thread: imports and weights take seconds in which others can be served.

        Returns why it could not be built, or None.
        """
        environment.prepare()
        await asyncio.to_thread(self._check_machine)
        await forkserver.begin()
        processes.LOAD.set(started := self._started)
        self._heartbeat.start()
        starting = asyncio.create_task(asyncio.to_thread(self._build, root))
        try:
            # The thread can't be stopped half-way: a cancelled start ends what it waits for, and then what it made.
            await asyncio.shield(starting)
            for adapter in self._adapters.values():
                await self._llm.add_lora(adapter)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await asyncio.to_thread(started.end)
                await asyncio.wait([starting])
                starting.exception()  # it was ended here on purpose: nobody need know
                await self.stop()
            raise
        except Exception as error:
            await self.stop()
            if isinstance(error, ModelUnavailable):
                raise
            if self.hung:
                return "its process hung, and was ended"
            log.exception("%s could not be loaded", self._options.name)
            return root.reason(error, self._options.path, *self._options.adapters.values())
        return None

    def _check_machine(self) -> None:
        """Say at once what would fail minutes later, by vLLM's own words for it. Raises ModelUnavailable."""
        finding = hardware.mismatch()
        if finding is not None and finding.fatal:
            log.error("%s: %s", self._options.name, finding.text)
            raise ModelUnavailable(finding.text)
        if hardware.build() == "cuda":
            for line in toolchain.missing():
                log.warning("%s", line)

    def _build(self, root: RootCause) -> None:
        # vLLM's log is verbose by default, and its warnings are for people who tune it; what matters is in our own.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        libraries.load(*libraries.FRONT_END)
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.renderers.online_renderer import OnlineRenderer
        from vllm.usage.usage_lib import UsageContext
        from vllm.v1.engine.async_llm import AsyncLLM

        from server.engines.vllm import plain_text, releases
        from server.engines.vllm.stats import SchedulerCounts

        options = self._options
        check.before_loading(options)
        config = AsyncEngineArgs(**self.arguments()).create_engine_config(UsageContext.OPENAI_API_SERVER)
        if scheduler := engine_args.scheduler(config.scheduler_config):
            config.scheduler_config.scheduler_cls = scheduler
        forkserver.use()
        root.watch(config)
        self._llm = AsyncLLM.from_vllm_config(
            config,
            usage_context=UsageContext.OPENAI_API_SERVER,
            stat_loggers=[SchedulerCounts],
            disable_log_stats=True,  # vLLM's own two loggers
        )
        loggers = self._llm.logger_manager.stat_loggers  # vLLM's plugins may have added theirs
        self._counts = next(one for one in loggers if isinstance(one, SchedulerCounts))
        self._renderer = OnlineRenderer(
            model_config=self._llm.model_config,
            renderer=self._llm.renderer,
            request_logger=None,
            chat_template=releases.load_chat_template(options.chat_template) if options.chat_template else None,
            chat_template_content_format="auto",
            enable_auto_tools=options.tool_parser is not None,
            tool_parser=options.tool_parser,
            reasoning_parser=options.reasoning_parser or "",
        )
        releases.warmup(self._renderer)
        plain_text.of(self._renderer)  # its tables take a while to make for a large vocabulary
        template.warn_if_missing(options.name, self._renderer)
        self._parser = self._renderer.parser
        self._defaults = self._own_defaults()
        self._adapters = adapters.requests(options.adapters)

    def _own_defaults(self) -> dict[str, Any]:
        """What the model's generation_config.json says, without what can't be kept, of which a warning tells."""
        from server.engines.vllm import sampling

        config, processor = self._llm.model_config, self._llm.input_processor
        drafts = self._llm.vllm_config.speculative_config is not None
        defaults, wrong = sampling.model_defaults(config.get_diff_sampling_param(), speculative=drafts)
        # vLLM adds these to every request by itself, from where it keeps them.
        own = processor.generation_config_fields
        own["eos_token_id"], strange = sampling.end_tokens(own.get("eos_token_id"), config.get_vocab_size())
        if left_out := "; ".join(wrong + strange):
            log.warning("%s: left out of its generation_config.json: %s", self._options.name, left_out)
        return defaults

    def arguments(self) -> dict[str, Any]:
        """What vLLM's AsyncEngineArgs is given; scripts/bench starts vLLM's own server with the same."""
        return engine_args.arguments(self._options)

    async def stop(self) -> None:
        await self._heartbeat.stop()
        llm, self._llm = self._llm, None
        if llm is not None:
            if llm.output_handler is not None:
                llm.output_handler.cancel()  # else it takes the end of the core for an accident, and logs a trace
            await asyncio.to_thread(llm.shutdown)
        # Nothing here may keep what it held; a request that is still on its way out keeps its own.
        del llm
        self._counts = self._renderer = self._parser = None
        _BEGUN.discard(self)
        await asyncio.to_thread(caches.forget, models=bool(_BEGUN))

    @property
    def alive(self) -> bool:
        return self._llm is not None and not self._llm.errored

    @property
    def hung(self) -> bool:
        return self._heartbeat.hung

    def _watched(self) -> list[int]:
        if self._llm is None:
            return self._started.pids
        return self.pids if self.alive else []

    @property
    def running(self) -> int:
        """Requests that vLLM has not finished or aborted, by its own count."""
        if self._llm is None:
            return 0
        from server.engines.vllm import releases

        return releases.unfinished(self._llm)

    @property
    def yields(self) -> bool:
        return self._llm is not None and self._llm.vllm_config.scheduler_config.scheduler_cls in engine_args.SCHEDULERS

    @property
    def pids(self) -> list[int]:
        """Process ids of vLLM's core (its workers are the core's children), for operators and fault tests."""
        if self._llm is None:
            return []
        manager = self._llm.engine_core.resources.engine_manager
        return [process.pid for process in manager.processes if process.pid] if manager else []

    @property
    def apart(self) -> bool:
        """From the moment at which its core begins: the imports and the configuration are behind it then."""
        return self._llm is not None or bool(self._started.pids)

    @property
    def context(self) -> int | None:
        return None if self._llm is None else int(self._llm.model_config.max_model_len)

    @property
    def places(self) -> int | None:
        if self._llm is None:
            return None
        config = self._llm.vllm_config
        return int(config.scheduler_config.max_num_seqs * config.parallel_config.data_parallel_size)

    @property
    def room(self) -> float | None:
        """Tokens in its KV cache."""
        cache = None if self._llm is None else self._llm.vllm_config.cache_config
        return None if cache is None or not cache.num_gpu_blocks else float(cache.num_gpu_blocks * cache.block_size)

    def behind(self, rank: int) -> "VllmEngine":
        """A view of this engine. It is as alive as this one, and whoever has it has a lease on this one."""
        view = copy.copy(self)
        view._rank = rank
        return view

    def prefix_cache(self) -> PrefixCache:
        return self._counts.prefix_cache() if self._counts is not None else PrefixCache()

    def metrics(self) -> "Iterable[Metric]":
        return self._counts.metrics() if self._counts is not None else ()

    def footprint(self) -> Footprint:
        return footprint.of_processes(self.pids)

    async def sleep(self) -> None:
        """Level 1: weights to host memory, KV cache dropped (vLLM #29341: level 2 woke up to gibberish)."""
        await self._llm.sleep(level=1)

    async def wake(self) -> None:
        await self._llm.wake_up()

    # ------------------------------------------------------------ jobs

    async def read(self, job: Job) -> Reading:
        if not isinstance(job, ChatJob | CompletionJob | TokenizeJob | DetokenizeJob):
            raise InvalidRequest("This model answers in text only.", param="model")
        if not self.alive:
            raise self._heartbeat.failure()
        if isinstance(job, CompletionJob):
            return await self._read_completion(job)
        if isinstance(job, ChatJob):
            return await self._read_chat(job)
        from server.engines.vllm import tokenize

        return await tokenize.read(job, self._renderer, self._defaults, pictures=self._options.images)

    async def _read_completion(self, job: CompletionJob) -> "CompletionReading":
        from server.engines.vllm import completion, completion_prompt, sampling

        llm = self._llm
        prompts = await completion_prompt.render(job, self._renderer, self._defaults, fim=self._options.fim)
        await self._check(prompts[0].sampling, job)
        for prompt in prompts[1:]:  # whose form is the first one's
            sampling.check(prompt.sampling, job, llm.input_processor)
        extras: dict[str, Any] = {} if job.adapter is None else {"lora_request": self._adapters[job.adapter]}
        if self._rank:
            extras["priority"] = self._rank
        name = f"cmpl-{next(self._ids)}"
        return completion.CompletionReading(llm, name, job, prompts, extras, failure=self._heartbeat.failure)

    async def _check(self, parameters: "SamplingParams", job: Sampling) -> None:
        """add_request would find the same, but only once there is work: a bad schema must be refused before.

        Raises InvalidRequest, EngineFailed.
        """
        from vllm.v1.engine.exceptions import EngineDeadError

        from server.engines.vllm import apart, grammar, refusals, releases, sampling

        try:
            tasks = await self._llm.get_supported_tasks()
            look = partial(self._llm.input_processor._validate_params, parameters, tasks)
            _ = look() if parameters.structured_outputs is None else await apart.apart(look)
        except releases.REFUSALS as error:
            # Where vLLM names no parameter, it is the grammar: everything else was checked when it was rendered.
            if named := sampling.named(error, job):
                raise refusals.of_request(error, named) from None
            form = parameters.structured_outputs
            raise refusals.of_grammar(error, None if form is None else form.json, grammar.field_of(job)) from None
        except EngineDeadError:
            raise self._heartbeat.failure() from None
        sampling.check(parameters, job, self._llm.input_processor)

    async def _read_chat(self, job: ChatJob) -> "VllmReading":
        from server.engines.vllm import grammar, sounds
        from server.engines.vllm import prompt as prompts
        from server.engines.vllm.reading import VllmReading

        llm = self._llm
        job = await sounds.prepared(job, self._options)
        prompt = await prompts.render(job, self._renderer, self._defaults, pictures=self._options.images)
        choices, reasoning = self._choices(job, prompt)
        param = grammar.field_of(job) if grammar.binds(job) else "tools" if job.tools else None
        await self._check(prompt.sampling, job)
        if job.adapter is not None:
            reasoning["lora_request"] = self._adapters[job.adapter]
        if self._rank:
            reasoning["priority"] = self._rank
        asked = job.token_ids or job.prompt_logprobs is not None
        name = f"chat-{next(self._ids)}"
        return VllmReading(
            llm, name, prompt, choices, reasoning, form=param, read_out=asked, failure=self._heartbeat.failure
        )

    def _choices(self, job: ChatJob, prompt: "Prompt") -> tuple[list["Choice"], dict[str, Any]]:
        """A follower for each of the n answers, and what vLLM's core must know about reasoning."""
        from server.engines.vllm import grammar, releases
        from server.engines.vllm.answer_check import Whole
        from server.engines.vllm.output import Alike, ForcedCall, Parsed, RequiredCall, Text

        binds = grammar.binds(job)
        request, parse = prompt.request, self._parser is not None
        # Without functions and without a reasoning parser there is nothing to take apart.
        if parse and self._options.reasoning_parser is None and job.tool_choice != "auto":
            parse = False
        reasoning: dict[str, Any] = {}
        choices: list[Choice] = []
        for index in range(job.n):
            choice: Choice = Text(index, job.top_logprobs, ids=job.token_ids)
            if parse:
                parser = self._parser(
                    self._llm.tokenizer,
                    request.tools,
                    chat_template_kwargs=prompt.template_kwargs,
                    model_config=self._llm.model_config,
                )
                ids = list(prompt.input["prompt_token_ids"])
                choice = Parsed(
                    index,
                    job.top_logprobs,
                    parser,
                    request,
                    ids,
                    parallel=job.parallel_tool_calls,
                    ids=job.token_ids,
                )
                if parser.reasoning_parser is not None and not reasoning:
                    reasoning = {
                        "reasoning_ended": releases.reasoning_ended(request, parser, ids),
                        "reasoning_parser_kwargs": {"chat_template_kwargs": dict(prompt.template_kwargs)},
                    }
            if binds:
                choice = Whole(choice, job, self._llm.tokenizer)
            name = job.forced_tool or (
                job.tools[0].name if job.tool_choice == "required" and len(job.tools) == 1 else None
            )
            if name is not None:
                choice = ForcedCall(choice, index, name)
            elif job.tool_choice == "required":
                choice = RequiredCall(choice, index)
            choices.append(choice)
        if prompt.sampling.n < len(choices):
            choices = [Alike(choices)]
        return choices, reasoning
