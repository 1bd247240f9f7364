"""Completions: what vLLM's core makes of raw prompts. Those of one job run at once, and end together."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import anyio
from vllm.logprobs import Logprob
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.engine.output_processor import RequestOutputCollector

from server.core import CompletionJob, Event, Facts, Finish, PromptTokens, TextDelta, TokenLogprob, Usage
from server.engines.vllm import grammar, sampling
from server.engines.vllm.answer_check import UNSATISFIED, Whole
from server.engines.vllm.completion_prompt import CompletionPrompt, prompt_logprobs
from server.engines.vllm.leash import Leash
from server.engines.vllm.output import FINISH_REASONS, Choice, Told
from server.errors import EngineFailed, InvalidRequest


class CompletionReading:
    """Prompts that are tokenized. Nothing of them is in vLLM's core before `run`.

    name: of the requests in vLLM's core. extras: further arguments of vLLM's add_request. failure: why an engine that
    died did so.
    """

    def __init__(
        self,
        llm: AsyncLLM,
        name: str,
        job: CompletionJob,
        prompts: Sequence[CompletionPrompt],
        extras: Mapping[str, Any],
        *,
        failure: Callable[[], EngineFailed] = EngineFailed,
    ) -> None:
        most = max(prompt.sampling.max_tokens or 0 for prompt in prompts)
        self.facts = Facts(
            prompt_tokens=sum(len(prompt.ids) for prompt in prompts), room=0 if job.max_tokens == 0 else most
        )
        self._llm = llm
        self._name = name
        self._job = job
        self._prompts = prompts
        self._extras = extras
        self._failure = failure
        self._leash: Leash | None = None
        self._taken = 0
        self._told = 0
        self.cached = 0

    @property
    def unread(self) -> int:
        if self._leash is None or self._job.max_tokens == 0:
            return 0
        # Of prompts whose answers are alike, each token that nobody took is for one answer here at least. Of what was
        # taken, a follower may hold something back, or be still to come.
        return self._leash.unread + self._taken - self._told

    async def run(self, limit: int | None = None) -> AsyncGenerator[Event, None]:
        llm, job = self._llm, self._job
        followers: list[Choice] = [_Follower(index, job) for index in range(job.answers)]
        if grammar.binds(job):
            followers = [Whole(follower, job, llm.tokenizer) for follower in followers]
        begun = [False] * len(self._prompts)
        finished = [False] * len(self._prompts)
        queues: list[RequestOutputCollector] = []
        leash = self._leash = Leash(llm, queues)
        try:
            for number, prompt in enumerate(self._prompts):
                if limit is not None:
                    sampling.lower(prompt.sampling, max(limit, 1))
                name = f"{self._name}-{number}"
                queues.append(await llm.add_request(name, prompt.input, prompt.sampling, **self._extras))
            async with aclosing(_merged(queues)) as outputs:
                async for number, output in outputs:
                    prompt = self._prompts[number]
                    if leash.cut:
                        leash.without_abort(output)
                    finished[number] = output.finished
                    if not begun[number]:
                        begun[number] = True
                        self.cached += output.num_cached_tokens or 0
                        if job.echo or job.token_ids or job.prompt_logprobs is not None:
                            yield _read(number, prompt, output, job, llm.tokenizer)
                    self._take(output, prompt.copies)
                    for piece in output.outputs:
                        self._demand_form(piece)
                        for copy in range(prompt.copies):
                            follower = followers[number * job.n + piece.index + copy]
                            for event in follower.feed(piece):
                                self._told += event.tokens
                                yield event
            leash.check()
            yield Usage(
                prompt_tokens=self.facts.prompt_tokens, completion_tokens=self._taken, cached_tokens=self.cached
            )
        except (EngineDeadError, EngineGenerateError):
            raise self._failure() from None
        finally:
            left = [queue.request_id for queue, done in zip(queues, finished, strict=False) if not done]
            if left and not llm.errored:
                with anyio.CancelScope(shield=True):
                    await llm.abort(left, internal=True)
            leash.close()

    def _take(self, output: RequestOutput, copies: int) -> None:
        if self._job.max_tokens != 0:
            self._taken += sum(len(piece.token_ids) for piece in output.outputs) * copies

    def _demand_form(self, piece: CompletionOutput) -> None:
        if piece.finish_reason == "error" and self._prompts[0].sampling.structured_outputs is not None:
            # llguidance gave up on what passed as a grammar, or what else the request asks for left no token.
            raise InvalidRequest(UNSATISFIED, param=grammar.field_of(self._job))

    async def aclose(self) -> None:
        """Nothing is left open: the end of `run` takes the requests out of vLLM's core."""


class _Follower:
    """Turns the pieces of one choice into events. Of a prompt that is only read, the token drawn is not told."""

    reasoning_tokens = 0

    def __init__(self, index: int, job: CompletionJob) -> None:
        self._index = index
        self._top = job.top_logprobs
        self._ids = job.token_ids
        self._only_read = job.max_tokens == 0
        self._tokens = 0

    def feed(self, output: CompletionOutput) -> Iterator[Told]:
        if not self._only_read:
            self._tokens += len(output.token_ids)
            logprobs = None if self._top is None else _drawn(output, self._top)
            ids = tuple(output.token_ids) if self._ids else None
            if output.text or logprobs or ids:
                yield TextDelta(self._index, output.text, logprobs, self._counted(), ids)
        if output.finish_reason is not None:
            reason = FINISH_REASONS.get(output.finish_reason)
            if reason is None:  # "error", or "abort" that nobody here asked for
                raise EngineFailed
            yield Finish(self._index, "length" if self._only_read else reason, self._counted())

    def _counted(self) -> int:
        tokens, self._tokens = self._tokens, 0
        return tokens


def _read(
    number: int, prompt: CompletionPrompt, output: RequestOutput, job: CompletionJob, tokenizer: Any
) -> PromptTokens:
    top = prompt_logprobs(job)
    logprobs: tuple[TokenLogprob | None, ...] | None = None
    if top is not None and output.prompt_logprobs is not None:
        logprobs = tuple(
            None if place is None else _told(token, place, top)
            for token, place in zip(prompt.ids, output.prompt_logprobs, strict=True)
        )
    tokens = None
    if job.echo and logprobs is not None:
        # Of a prompt's first token vLLM tells nothing.
        # An empty prompt is read as the token that begins a document, which stands for no text.
        first = "" if job.prompts[number] == "" else tokenizer.decode([prompt.ids[0]])
        tokens = tuple(first if entry is None else entry.token for entry in logprobs)
    return PromptTokens(number, prompt.ids, logprobs, prompt.text, tokens)


def _drawn(output: CompletionOutput, top: int) -> tuple[TokenLogprob, ...]:
    """The tokens of this piece."""
    return tuple(
        _told(token, place, top) for token, place in zip(output.token_ids, output.logprobs or (), strict=False)
    )


def _told(token: int, place: Mapping[int, Logprob], top: int) -> TokenLogprob:
    """A token that stands at a place, and the `top` likeliest there."""
    ranked = sorted(place.items(), key=lambda entry: -entry[1].logprob)[:top]
    return _entry(token, place[token], tuple(_entry(*other) for other in ranked))


def _entry(token: int, entry: Logprob, top: tuple[TokenLogprob, ...] = ()) -> TokenLogprob:
    text = entry.decoded_token or ""
    # JSON has no infinity; the OpenAI API uses -9999 for "as good as impossible".
    return TokenLogprob(text, max(float(entry.logprob), -9999.0), tuple(text.encode()), top, token, entry.rank)


async def _merged(queues: Sequence[RequestOutputCollector]) -> AsyncGenerator[tuple[int, RequestOutput], None]:
    """The outputs of all requests as they come, each with the number of its request. Raises what a queue raises."""
    if len(queues) == 1:
        finished = False
        while not finished:
            # Without an await where something is ready: under load this spares a task switch a token.
            output = queues[0].get_nowait() or await queues[0].get()
            finished = output.finished
            yield 0, output
        return
    # It is short, so that a slow client leaves the pieces where vLLM joins them.
    ready: asyncio.Queue[tuple[int, Any]] = asyncio.Queue(maxsize=len(queues))

    async def pump(number: int) -> None:
        finished = False
        while not finished:
            try:
                output = await queues[number].get()
                finished = output.finished
            except Exception as error:  # noqa: BLE001 - raised where the outputs are awaited
                await ready.put((number, error))
                return
            await ready.put((number, output))

    pumps = [asyncio.create_task(pump(number)) for number in range(len(queues))]
    left = len(queues)
    try:
        while left:
            number, output = await ready.get()
            if isinstance(output, Exception):
                raise output
            left -= output.finished
            yield number, output
    finally:
        for task in pumps:
            task.cancel()
