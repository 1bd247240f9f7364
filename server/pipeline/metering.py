"""What a pass has used so far: exact once the engine has said so at its end, a running count until then."""

from server.core import (
    AudioChunk,
    Event,
    Facts,
    Finish,
    Picture,
    Read,
    ReasoningDelta,
    Segment,
    TextDelta,
    ToolCallDelta,
    Usage,
)

OF_TOKENS = (TextDelta, ReasoningDelta, ToolCallDelta, Finish)


class Meter:
    """Counts a pass's events. A client that hangs up is billed by this count, since no `Usage` comes any more."""

    def __init__(self, facts: Facts) -> None:
        self._prompt_tokens = facts.prompt_tokens
        self._audio_tokens = facts.audio_tokens
        self._image_tokens = facts.image_tokens
        self._most_seconds = facts.audio_seconds or float("inf")
        self._tokens = 0
        self._unread = 0
        self._cached = 0
        self._reasoning = 0
        self._seconds = 0.0
        self._characters = 0
        self._images = 0
        self._read: int | None = None
        self._exact: Usage | None = None
        self.begun = False
        """Whether there was any event yet: work that was only read is not paid."""

    def count(self, event: Event) -> None:
        self.begun = True
        # This runs once a token: the most frequent kinds first, and no union that would be made anew each time.
        if isinstance(event, OF_TOKENS):
            self._tokens += event.tokens
            if isinstance(event, ReasoningDelta):
                self._reasoning += event.tokens
        elif isinstance(event, AudioChunk):
            self._characters += event.characters
        elif isinstance(event, Segment):
            self._seconds = max(self._seconds, event.end)
        elif isinstance(event, Picture):
            self._images += event.partial is None
        elif isinstance(event, Read):
            self._read = (self._read or 0) + event.tokens
        elif isinstance(event, Usage):
            self._exact = event

    def count_unread(self, tokens: int, cached: int = 0) -> None:
        """Work ends early: these were generated too, by `Reading.unread`. cached: as `Reading.cached`."""
        self._unread = tokens
        self._cached = cached

    @property
    def complete(self) -> bool:
        """Whether the engine has said its own figures: the pass ended well."""
        return self._exact is not None

    @property
    def usage(self) -> Usage:
        return self._exact or Usage(
            prompt_tokens=self._prompt_tokens if self._read is None else min(self._read, self._prompt_tokens),
            completion_tokens=self._tokens + self._unread,
            cached_tokens=self._cached,
            reasoning_tokens=self._reasoning,
            # A segment's end counts from the recording's start, of which a job may hear stretches only.
            audio_seconds=min(self._seconds, self._most_seconds),
            characters=self._characters,
            images=self._images,
            audio_tokens=self._audio_tokens,
            image_tokens=self._image_tokens,
        )
