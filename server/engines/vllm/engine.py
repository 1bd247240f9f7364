"""vLLM's AsyncLLM as an `Engine`."""

import asyncio
import itertools
import logging
import os
from collections.abc import AsyncGenerator
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from server.core import Accepted, ChatJob, Event, Job, Usage
from server.engines import footprint
from server.engines.base import Footprint, PrefixCache
from server.engines.vllm import caches, forkserver, hardware, heap
from server.engines.vllm.options import VllmOptions
from server.errors import EngineFailed, InvalidRequest, ModelUnavailable

if TYPE_CHECKING:
    from server.engines.vllm.output import Choice
    from server.engines.vllm.prompt import Prompt
    from server.engines.vllm.stats import SchedulerCounts

log = logging.getLogger(__name__)


class VllmEngine:
    """One chat model. vLLM's core is a process of its own; a death there ends this engine and nothing else."""

    def __init__(self, options: VllmOptions) -> None:
        self._options = options
        self._llm: Any = None
        self._counts: SchedulerCounts | None = None
        self._renderer: Any = None
        self._parser: Any = None
        self._defaults: dict[str, Any] = {}
        self._ids = itertools.count(1)
        self._stopped = False

    # ------------------------------------------------------------ lifecycle

    async def start(self) -> None:
        """Build the engine in a thread: imports and weights take seconds in which others can be served."""
        forkserver.start()
        starting = asyncio.create_task(asyncio.to_thread(self._build))
        try:
            # The thread can't be stopped half-way: a cancelled start waits for it, then ends what it made.
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([starting])
                await self.stop()
            raise
        except Exception as error:
            await self.stop()
            if isinstance(error, ModelUnavailable):
                raise
            log.exception("%s could not be loaded", self._options.name)
            raise ModelUnavailable(f"The model could not be loaded ({type(error).__name__}).") from None

    def _build(self) -> None:
        # vLLM's log is verbose by default, and its warnings are for people who tune it; ours tells what matters.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        with heap.permanent():
            from vllm.engine.arg_utils import AsyncEngineArgs
            from vllm.renderers.chat_utils import load_chat_template
            from vllm.renderers.online_renderer import OnlineRenderer
            from vllm.usage.usage_lib import UsageContext
            from vllm.v1.engine.async_llm import AsyncLLM

            # The first request needs them.
            from server.engines.vllm import output, prompt  # noqa: F401
            from server.engines.vllm.stats import SchedulerCounts

        options = self._options
        config = AsyncEngineArgs(**self.arguments()).create_engine_config(UsageContext.OPENAI_API_SERVER)
        forkserver.use()
        self._llm = AsyncLLM.from_vllm_config(
            config,
            usage_context=UsageContext.OPENAI_API_SERVER,
            stat_loggers=[SchedulerCounts],
            disable_log_stats=True,  # vLLM's own two loggers; its metrics would reach nobody
        )
        loggers = self._llm.logger_manager.stat_loggers  # vLLM's plugins may have added theirs
        self._counts = next(one for one in loggers if isinstance(one, SchedulerCounts))
        self._renderer = OnlineRenderer(
            model_config=self._llm.model_config,
            renderer=self._llm.renderer,
            request_logger=None,
            chat_template=load_chat_template(options.chat_template) if options.chat_template else None,
            chat_template_content_format="auto",
            enable_auto_tools=options.tool_parser is not None,
            tool_parser=options.tool_parser,
            reasoning_parser=options.reasoning_parser or "",
        )
        self._renderer.warmup()
        self._parser = self._renderer.parser
        self._defaults = self._llm.model_config.get_diff_sampling_param()

    def arguments(self) -> dict[str, Any]:
        """What vLLM's AsyncEngineArgs is given; scripts/bench starts vLLM's own server with the same."""
        from vllm.config import StructuredOutputsConfig

        options = self._options
        cuda = hardware.cuda()
        arguments: dict[str, Any] = {
            "model": str(options.path),
            "served_model_name": options.name,
            "dtype": options.dtype,
            "enforce_eager": not cuda if options.eager is None else options.eager,
            "enable_prefix_caching": True,
            "tensor_parallel_size": options.tensor_parallel_size,
            "pipeline_parallel_size": options.pipeline_parallel_size,
            "data_parallel_size": options.data_parallel_size,
            "cpu_offload_gb": options.cpu_offload / 2**30,
            # Requests are logged by the front end, without their text.
            "enable_log_requests": False,
            "use_tqdm_on_load": False,
            # llguidance knows most of JSON Schema and needs no compilation; without free whitespace a small model
            # can't wander off into blank lines.
            "structured_outputs_config": StructuredOutputsConfig(backend="guidance", disable_any_whitespace=True),
            # Videos and sound come in no request here; the number of pictures is bounded by the front end.
            "limit_mm_per_prompt": {"video": 0, "audio": 0} | ({} if options.images else {"image": 0}),
        }
        if cuda:
            arguments["enable_sleep_mode"] = True
            arguments["device_ids"] = list(options.gpus) or None
            if options.gpu_memory_utilization is not None:
                arguments["gpu_memory_utilization"] = options.gpu_memory_utilization
        else:
            arguments["kv_cache_memory_bytes"] = options.kv_cache
            if options.dtype == "auto":
                arguments["dtype"] = hardware.processor_dtype()
        for name in (
            "max_model_len", "max_num_seqs", "max_num_batched_tokens", "quantization", "kv_cache_dtype",
            "tokenizer_mode", "load_format",
        ):  # fmt: skip
            if (value := getattr(options, name)) is not None:
                arguments[name] = value
        if options.speculative_config is not None:
            arguments["speculative_config"] = dict(options.speculative_config)
        if options.hf_overrides:
            arguments["hf_overrides"] = dict(options.hf_overrides)
        if options.reasoning_parser:
            arguments["reasoning_parser"] = options.reasoning_parser
        return arguments | dict(options.extra)

    async def stop(self) -> None:
        self._stopped = True
        llm, self._llm = self._llm, None
        if llm is not None:
            if llm.output_handler is not None:
                llm.output_handler.cancel()  # else it takes the end of the core for an accident, and logs a trace
            await asyncio.to_thread(llm.shutdown)
        # Nothing here may keep what it held; a request that is still on its way out keeps its own.
        del llm
        self._counts = self._renderer = self._parser = None
        await asyncio.to_thread(caches.forget)

    @property
    def alive(self) -> bool:
        return self._llm is not None and not self._llm.errored

    @property
    def running(self) -> int:
        """Requests that vLLM has not finished or aborted, by its own count."""
        return 0 if self._llm is None else int(self._llm.get_num_unfinished_requests())

    @property
    def pids(self) -> list[int]:
        """Process ids of vLLM's core (its workers are the core's children), for operators and fault tests."""
        if self._llm is None:
            return []
        manager = self._llm.engine_core.resources.engine_manager
        return [process.pid for process in manager.processes if process.pid] if manager else []

    def prefix_cache(self) -> PrefixCache:
        return self._counts.prefix_cache() if self._counts is not None else PrefixCache()

    def footprint(self) -> Footprint:
        parts = [footprint.of_process(pid) for pid in self.pids]
        return Footprint(sum(part.host for part in parts), sum(part.gpu for part in parts))

    async def sleep(self) -> None:
        """Level 1: weights to host memory, KV cache dropped (vLLM #29341: level 2 woke up to gibberish)."""
        await self._llm.sleep(level=1)

    async def wake(self) -> None:
        await self._llm.wake_up()

    # ------------------------------------------------------------ jobs

    async def run(self, job: Job) -> AsyncGenerator[Event, None]:
        if not isinstance(job, ChatJob):
            raise InvalidRequest("This model does chat only.", param="model")
        if not self.alive:
            raise EngineFailed
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        from server.engines.vllm import prompt as prompts

        llm = self._llm
        prompt = await prompts.render(job, self._renderer, self._defaults)
        choices, reasoning = self._choices(job, prompt)
        sampling = prompt.sampling
        param = "response_format" if job.output_schema is not None else "tools" if job.tools else None
        try:
            # add_request would find the same, but only once there is work: a bad schema must be told before.
            llm.input_processor._validate_params(sampling, await llm.get_supported_tasks())
        except (VLLMClientError, ValueError) as error:
            # What is left to be wrong here is the grammar: everything else was checked when it was rendered.
            raise prompts.invalid(str(error.args[0]), getattr(error, "parameter", None) or param) from None
        except EngineDeadError:
            raise EngineFailed from None
        yield Accepted(prompt_tokens=prompt.tokens, room=sampling.max_tokens, limit=partial(prompts.lower, sampling))

        generated = 0
        cached: int | None = None
        finished = False
        queue = None
        try:
            queue = await llm.add_request(f"chat-{next(self._ids)}", prompt.input, sampling, **reasoning)
            while not finished:
                # Without an await where something is ready: under load this spares a task switch a token.
                output = queue.get_nowait() or await queue.get()
                finished = output.finished
                if cached is None:
                    # The first answer's. The others find what it has just read; the prompt is counted once, with it.
                    cached = output.num_cached_tokens
                for piece in output.outputs:
                    if piece.finish_reason == "error" and sampling.structured_outputs is not None:
                        # llguidance gave up on what passed as a grammar: too many states, or no end to it.
                        raise InvalidRequest(
                            "No answer can be kept to this JSON Schema: it is too large, or nothing satisfies it.",
                            param=param,
                        )
                    generated += len(piece.token_ids)
                    for event in choices[piece.index].feed(piece):
                        yield event
            yield Usage(
                prompt_tokens=prompt.tokens,
                completion_tokens=generated,
                cached_tokens=cached or 0,
                reasoning_tokens=sum(choice.reasoning_tokens for choice in choices),
            )
        except (EngineDeadError, EngineGenerateError):
            raise EngineFailed from None
        finally:
            if queue is not None:
                if not finished and not llm.errored:
                    with anyio.CancelScope(shield=True):
                        await llm.abort(queue.request_id, internal=True)
                queue.close()

    def _choices(self, job: ChatJob, prompt: "Prompt") -> tuple[list["Choice"], dict[str, Any]]:
        """A follower for each of the n answers, and what vLLM's core must know about reasoning."""
        from server.engines.vllm.output import ForcedCall, Parsed, RequiredCall, Text

        request, parse = prompt.request, self._parser is not None
        # Without functions and without a reasoning parser there is nothing to take apart.
        if parse and self._options.reasoning_parser is None and job.tool_choice != "auto":
            parse = False
        reasoning: dict[str, Any] = {}
        choices: list[Choice] = []
        for index in range(job.n):
            choice: Choice = Text(index, job.top_logprobs)
            if parse:
                parser = self._parser(
                    self._llm.tokenizer,
                    request.tools,
                    chat_template_kwargs=prompt.template_kwargs,
                    model_config=self._llm.model_config,
                )
                ids = list(prompt.input["prompt_token_ids"])
                choice = Parsed(index, job.top_logprobs, parser, request, ids, parallel=job.parallel_tool_calls)
                if parser.reasoning_parser is not None and not reasoning:
                    reasoning = {
                        "reasoning_ended": request.resolve_reasoning_ended(parser, ids),
                        "reasoning_parser_kwargs": {"chat_template_kwargs": dict(prompt.template_kwargs)},
                    }
            name = job.forced_tool or (
                job.tools[0].name if job.tool_choice == "required" and len(job.tools) == 1 else None
            )
            if name is not None:
                choice = ForcedCall(choice, index, name)
            elif job.tool_choice == "required":
                choice = RequiredCall(choice, index)
            choices.append(choice)
        return choices, reasoning
