"""`options` of an `engine: fake` model config."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from server.core.events import ScoreMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeOptions:
    """`options` of an `engine: fake` model config; all of them may be left out.

    text: the answer to chats and completions, and the transcript. A token is a word with the space before it; among
      token ids, it is a character, and its id the character's code.
    echo: answer a chat with its last user message, a completion with its prompt, instead.
    replies: what is answered instead where that message or prompt holds the key; of a list, choice i gets entry i.
    fim: whether completions may have a suffix.
    tokens: repeat the answer up to this many tokens, for benchmarks.
    reasoning: text that comes as reasoning before a chat's answer.
    call: {"name", "arguments"} that a chat with tools ends in, unless the job forces another tool.
    context: the context length in tokens; longer prompts are refused.
    language, duration: of transcribed audio; duration in seconds.
    scores: of pictures whose job asks for it, one after the other, again and again; empty for none.
    dimensions: of the vectors of embedded texts. method: of scores.
    flags: words, each with the category that a text which has it is flagged for.
    voices: voice names that exist; empty for all.
    fail_start: `start` raises ModelUnavailable with this text.
    refuse: jobs are refused with this text before they are read, as a bad request.
    fail: the engine reports EngineFailed before they are read, and lives on.
    die_after: the engine dies after this many events of a job (0: as soon as it runs).
    bug_after: a programming error is raised after this many events of a job.
    pause: seconds that a job waits after its first event, as a model that works; the work costs no processor time.
    step, step_job: seconds of each event, and what each job beside it adds to them: jobs are worked on together, and
      each makes one event in a step, as in continuous batching. sequences: jobs that are worked on together.
    host, gpu: bytes it claims to hold once started.
    """

    text: str = "Hello from the fake engine."
    echo: bool = False
    replies: Mapping[str, Any] = field(default_factory=dict)
    fim: bool = False
    tokens: int | None = None
    reasoning: str = ""
    call: Mapping[str, Any] | None = None
    context: int = 4096
    language: str = "en"
    duration: float = 2.0
    scores: tuple[float, ...] = ()
    dimensions: int = 8
    method: ScoreMethod = "embedding"
    flags: Mapping[str, str] = field(default_factory=lambda: {"fight": "violence", "nasty": "harassment"})
    voices: tuple[str, ...] = ()
    fail_start: str | None = None
    refuse: str | None = None
    fail: bool = False
    die_after: int | None = None
    bug_after: int | None = None
    pause: float = 0.0
    step: float = 0.0
    step_job: float = 0.0
    sequences: int = 256
    host: int = 0
    gpu: int = 0
