"""A chat job that is rendered and tokenized, and what vLLM's core then makes of it."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import anyio
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.engine.output_processor import RequestOutputCollector

from server.core import Event, Facts, Usage
from server.engines.vllm import refusals, releases
from server.engines.vllm.answer_check import UNSATISFIED
from server.engines.vllm.leash import Leash
from server.engines.vllm.output import Alike, Choice, prompt_tokens
from server.engines.vllm.prompt import Prompt
from server.engines.vllm.sampling import lower
from server.errors import EngineFailed, InvalidRequest


class VllmReading:
    """Nothing of it is in vLLM's core before `run`.

    choices: a follower for each answer. extras: further arguments of vLLM's add_request. form: the request's field that
    gave the answer its grammar, if one did. read_out: whether the first event tells what was read. failure: why an
    engine that died did so.
    """

    def __init__(
        self,
        llm: AsyncLLM,
        name: str,
        prompt: Prompt,
        choices: Sequence[Choice],
        extras: Mapping[str, Any],
        *,
        form: str | None,
        read_out: bool = False,
        failure: Callable[[], EngineFailed] = EngineFailed,
    ) -> None:
        self.facts = Facts(
            prompt_tokens=prompt.tokens,
            room=prompt.sampling.max_tokens,
            audio_tokens=_standing_for("audio", prompt.input),
            image_tokens=_standing_for("image", prompt.input),
        )
        self._llm = llm
        self._name = name
        self._prompt = prompt
        self._choices = choices
        self._extras = extras
        self._form = form
        self._read_out = read_out
        self._failure = failure
        self._leash: Leash | None = None
        self._taken = 0
        self._told = 0
        self.cached = 0

    @property
    def _alike(self) -> int:
        """Answers that each of the tokens is for."""
        return self._choices[0].answers if isinstance(self._choices[0], Alike) else 1

    @property
    def unread(self) -> int:
        # Of what was taken too: a follower may hold it back, or be still to come where several answers came at once.
        return 0 if self._leash is None else (self._leash.unread + self._taken) * self._alike - self._told

    async def run(self, limit: int | None = None) -> AsyncGenerator[Event, None]:
        llm, prompt, sampling, choices = self._llm, self._prompt, self._prompt.sampling, self._choices
        if limit is not None:
            lower(sampling, limit)
        begun = False
        finished = False
        queues: list[RequestOutputCollector] = []
        leash = self._leash = Leash(llm, queues)
        try:
            queue = await llm.add_request(self._name, prompt.input, sampling, **self._extras)
            queues.append(queue)
            while not finished:
                # Without an await where something is ready: under load this spares a task switch a token.
                output = queue.get_nowait() or await queue.get()
                if leash.cut:
                    leash.without_abort(output)
                finished = output.finished
                for piece in output.outputs:
                    self._taken += len(piece.token_ids)
                if not begun:
                    begun = True
                    # The first answer's. The others find what it has just read; the prompt is counted once, with it.
                    self.cached = output.num_cached_tokens or 0
                    if self._read_out:
                        ids = prompt.input["prompt_token_ids"]
                        yield prompt_tokens(ids, output.prompt_logprobs, sampling.prompt_logprobs)
                for piece in output.outputs:
                    if piece.finish_reason == "error" and sampling.structured_outputs is not None:
                        # llguidance gave up on what passed as a grammar, or what else the request asks for left no
                        # token that the grammar admits.
                        raise InvalidRequest(UNSATISFIED, param=self._form)
                    for event in choices[piece.index].feed(piece):
                        self._told += event.tokens
                        yield event
            leash.check()
            yield Usage(
                prompt_tokens=prompt.tokens,
                completion_tokens=self._taken * self._alike,
                cached_tokens=self.cached,
                reasoning_tokens=sum(choice.reasoning_tokens for choice in choices),
                audio_tokens=self.facts.audio_tokens,
                image_tokens=self.facts.image_tokens,
            )
        except (EngineDeadError, EngineGenerateError):
            raise self._failure() from None
        except releases.CLIENT_ERRORS as error:
            # All that is known to be wrong with requests is refused when they are read; this is the net below.
            raise refusals.of_request(error) from None
        finally:
            if queues and not finished and not llm.errored:
                with anyio.CancelScope(shield=True):
                    await llm.abort(queues[0].request_id, internal=True)
            leash.close()

    async def aclose(self) -> None:
        """Nothing is left open: the end of `run` takes the request out of vLLM's core."""


def _standing_for(modality: str, prompt: Mapping[str, Any]) -> int:
    """Tokens of the prompt that are embeddings of pictures or sounds, without those that mark their ends."""
    places = (prompt.get("mm_placeholders") or {}).get(modality) or ()
    return sum(place.length if place.is_embed is None else int(place.is_embed.sum()) for place in places)
