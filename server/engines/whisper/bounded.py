"""faster-whisper's decoding of a window, with the fallback of fallback.py in place of its own."""

from collections.abc import Callable, Sequence
from typing import Any

from server.engines.whisper.fallback import LADDER, Budget, Hearing, next_temperature, taken

Watch = Callable[[Sequence[Hearing], Hearing], None]
"""Called with all hearings of a window and the one that was taken."""


class Ladder(list[float]):
    """The temperatures of one recording and its budget for them, in the form in which faster-whisper hands on both."""

    def __init__(self, seconds: float) -> None:
        super().__init__(LADDER)
        self.budget = Budget(seconds)


class BoundedFallback:
    """In place of `WhisperModel.generate_with_fallback`. Given a fixed temperature, a window is heard once.

    Everything else is faster-whisper's: what is asked of the model at a temperature, and that a window of which no
    hearing was good reports the last temperature of the ladder, so that its text is no prompt of the next window.
    """

    def __init__(self, model: Any, compression: Callable[[str], float], watch: Watch | None = None) -> None:
        """model: a WhisperModel. compression: faster-whisper's `get_compression_ratio`."""
        self._model = model
        self._compression = compression
        self.watch = watch

    def __call__(
        self, encoder_output: Any, prompt: list[int], tokenizer: Any, options: Any
    ) -> tuple[Any, float, float, float]:
        """CTranslate2's result, its mean log-probability, the temperature, and the compression ratio of its text."""
        ladder = options.temperatures
        budget = ladder.budget if isinstance(ladder, Ladder) else Budget(0.0)
        results: list[Any] = []
        hearings: list[Hearing] = []
        while (temperature := next_temperature(hearings, ladder, budget)) is not None:
            result = self._generate(encoder_output, prompt, options, temperature)
            hearing = self._hearing(result, len(prompt), tokenizer, options, temperature)
            results.append(result)
            hearings.append(hearing)
            budget.spend(hearing)
        best = taken(hearings)
        if self.watch:
            self.watch(hearings, best)
        result = results[hearings.index(best)]
        return result, best.logprob, best.temperature if best.settled else ladder[-1], best.compression

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

    def _hearing(self, result: Any, prompt: int, tokenizer: Any, options: Any, temperature: float) -> Hearing:
        """prompt: its length in tokens."""
        ids = result.sequences_ids[0]
        text = tokenizer.decode(ids).strip()
        # CTranslate2's score is the sum of log-probabilities over the length to this power; the end counts as a token.
        logprob = result.scores[0] * len(ids) ** options.length_penalty / (len(ids) + 1)
        limit = min(self._model.max_length - prompt, self._model.max_length // 2)
        return Hearing(
            temperature=temperature,
            text=text,
            tokens=max(len(sample) for sample in result.sequences_ids),
            whole=len(ids) < limit,
            logprob=logprob,
            compression=self._compression(text),
            no_speech=result.no_speech_prob,
        )
