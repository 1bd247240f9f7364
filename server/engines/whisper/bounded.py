"""faster-whisper's decoding of a window, with the fallback of fallback.py in place of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from server.engines.whisper.fallback import LADDER, Budget, Hearing, likeliest, next_temperature, taken

Watch = Callable[[Sequence[Hearing], Hearing], None]
"""Called with all hearings of a window and the one that was taken."""


class Ladder(list[float]):
    """The temperatures of one window and its budget for them, in the form in which faster-whisper hands on both.

    Each window has its own share of the recording's budget, since they are heard at the same time; the first has what
    does not depend on the length.
    """

    def __init__(self, seconds: float, *, first: bool = True) -> None:
        super().__init__(LADDER)
        self.budget = Budget(seconds, first=first)


@dataclass(frozen=True, slots=True)
class Result:
    """The fields of CTranslate2's WhisperGenerationResult that faster-whisper reads, for one of the samples."""

    sequences_ids: list[list[int]]
    scores: list[float]
    no_speech_prob: float


class BoundedFallback:
    """In place of `WhisperModel.generate_with_fallback`. Given a fixed temperature, a window is heard once.

    Everything else is faster-whisper's: what is asked of the model at a temperature, and that a window of which no
    hearing was good reports the last temperature of the ladder, so that its text is no prompt of the next window.
    """

    def __init__(self, model: Any, compression: Callable[[str], float], watch: Watch | None = None) -> None:
        """model: a WhisperModel. compression: faster-whisper's `get_compression_ratio`."""
        self._model = model
        self._compression = compression
        self._watch = watch

    def __call__(
        self, encoder_output: Any, prompt: list[int], tokenizer: Any, options: Any
    ) -> tuple[Result, float, float, float]:
        """The result, its mean log-probability, the temperature, and the compression ratio of its text."""
        ladder = options.temperatures
        budget = ladder.budget if isinstance(ladder, Ladder) else Budget(0.0)
        results: list[Any] = []
        hearings: list[Hearing] = []
        while (temperature := next_temperature(hearings, ladder, budget)) is not None:
            result = self._generate(encoder_output, prompt, options, temperature)
            results.append(result)
            hearings.append(likeliest(self._samples(result, len(prompt), tokenizer, options, temperature)))
            budget.spend(hearings[-1])
        best = taken(hearings)
        if self._watch:
            self._watch(hearings, best)
        result = results[hearings.index(best)]
        chosen = Result([result.sequences_ids[best.sample]], [result.scores[best.sample]], result.no_speech_prob)
        return chosen, best.logprob, best.temperature if best.settled else ladder[-1], best.compression

    def _generate(self, encoder_output: Any, prompt: list[int], options: Any, temperature: float) -> Any:
        if temperature > 0:
            how = {
                "beam_size": 1,
                "num_hypotheses": options.best_of,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
        else:
            how = {"beam_size": options.beam_size, "patience": options.patience}
        return self._model.model.generate(
            encoder_output,
            [prompt],
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            max_length=self._model.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=options.suppress_blank,
            suppress_tokens=options.suppress_tokens,
            max_initial_timestamp_index=round(options.max_initial_timestamp / self._model.time_precision),
            **how,
        )[0]

    def _samples(self, result: Any, prompt: int, tokenizer: Any, options: Any, temperature: float) -> list[Hearing]:
        """prompt: its length in tokens."""
        limit = min(self._model.max_length - prompt, self._model.max_length // 2)
        longest = max(len(ids) for ids in result.sequences_ids)
        samples = []
        for number, (ids, score) in enumerate(zip(result.sequences_ids, result.scores, strict=True)):
            text = tokenizer.decode(ids).strip()
            # The score is the sum of log-probabilities over the length to this power; the text's end counts as a token.
            logprob = score * len(ids) ** options.length_penalty / (len(ids) + 1)
            samples.append(
                Hearing(
                    temperature=temperature,
                    sample=number,
                    text=text,
                    tokens=longest,
                    whole=len(ids) < limit,
                    logprob=logprob,
                    compression=self._compression(text),
                    no_speech=result.no_speech_prob,
                )
            )
        return samples
