"""Which mode `auto` means for a job: a pure function of the request, the model's config and how busy the model is.

The rules look at what can be seen without a model and cost microseconds. Each tells its reason, which the client gets
as `x-quality-reason`. See docs/decisions/006-quality-modes.md for why each is there.
"""

import re
from typing import Any

from server.core import ChatJob, ImageJob, Job, Quality, SpeechJob
from server.models.config.quality import RANKS, Auto, ChosenQuality

LOOKED_AT = 20_000
"""Characters of the last user message that the rules read; patterns over a whole upload would not be free."""

_CODE = re.compile(
    r"```|\b(?:def|class|import|return|function|const|public|static|void|SELECT|INSERT|UPDATE)\s+\w+\s*[({;:=*,]"
    r"|\b(?:python|javascript|typescript|java|rust|golang|sql|regex|bash|html|css|c\+\+)\b(?!\s+(?:sea|island))"
    r"|#include\b|\bcode\b",
    re.IGNORECASE,
)
_SUM = re.compile(r"\d\s{0,3}[-+*/×÷^%=]\s{0,3}\(?\d")
_NUMBER = re.compile(r"\d+")
_COUNTING = re.compile(
    r"\b(?:how (?:many|much|far|long|old)|sum|total|average|percent|times|plus|minus|divided|product|difference"
    r"|left over|altogether|per|solve|calculate|compute|equation|prove)\b",
    re.IGNORECASE,
)


def choose(job: Job, auto: Auto, load: float) -> tuple[ChosenQuality, str]:
    """The mode and its reason. load: share of the model's places that are taken, 0 for an idle one."""
    wanted, reason = _wanted(job, auto)
    lowest, highest = RANKS.index(auto.lowest), RANKS.index(auto.highest)
    rank = min(max(RANKS.index(wanted), lowest), highest)
    if RANKS[rank] is not wanted:
        reason = f"{reason}; this model's auto goes from {auto.lowest} to {auto.highest}"
    if load >= auto.busy and rank > lowest:
        return RANKS[rank - 1], f"busy ({load:.0%}): one less than {RANKS[rank]} ({reason})"
    return RANKS[rank], reason


def _wanted(job: Job, auto: Auto) -> tuple[ChosenQuality, str]:
    match job:
        case ChatJob():
            return _chat(job, auto)
        case ImageJob(prompt=prompt) | SpeechJob(text=prompt):
            if isinstance(job, ImageJob) and len(prompt) >= auto.long:
                return Quality.HIGH, "a long prompt"
            return Quality.MEDIUM, "nothing asks for more"
        case _:
            return Quality.MEDIUM, "nothing asks for more"


def _chat(job: ChatJob, auto: Auto) -> tuple[ChosenQuality, str]:
    # Whoever fixes how tokens are drawn, or works on the answer by program, wants the model as it is.
    if fixed := _fixed(job):
        return Quality.MEDIUM, f"the request sets {fixed}"
    text, pictures = _question(job)
    if pictures:
        return Quality.MEDIUM, "images in the prompt"
    if job.streamed:
        return Quality.MEDIUM, "streamed: the first word should come soon"
    if _CODE.search(text):
        return Quality.HIGH, "code in the prompt"
    if arithmetic(text):
        return Quality.HIGH, "arithmetic in the prompt"
    if len(text) >= auto.long:
        return Quality.HIGH, "a long prompt"
    return Quality.MEDIUM, "nothing asks for more"


def _fixed(job: ChatJob) -> str | None:
    """The parameter by which the client has taken the choice upon itself, if any."""
    settings: dict[str, Any] = {
        "tools": job.tools,
        "response_format": job.output_schema is not None,
        "logprobs": job.top_logprobs is not None,
        "n": job.n > 1,
        "seed": job.seed is not None,
        "temperature 0": job.temperature == 0,
        "logit_bias": job.logit_bias,
        "ignore_eos": job.ignore_eos,
        "min_tokens": job.min_tokens,
        "reasoning_effort": job.reasoning_effort is not None,
    }
    return next((name for name, given in settings.items() if given), None)


def _question(job: ChatJob) -> tuple[str, bool]:
    """The last user message's text as far as the rules read it, and whether there are images beside it."""
    content = next((message["content"] for message in reversed(job.messages) if message["role"] == "user"), "")
    if isinstance(content, str):
        return content[:LOOKED_AT], False
    text = " ".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return text[:LOOKED_AT], any(part.get("type") == "image_url" for part in content)


def arithmetic(text: str) -> bool:
    """Whether the text asks for a calculation: a sum as such, or two numbers and a word that counts."""
    if _SUM.search(text):
        return True
    numbers = _NUMBER.finditer(text)
    return next(numbers, None) is not None and next(numbers, None) is not None and bool(_COUNTING.search(text))


def asks_for_a_number(job: ChatJob) -> bool:
    """Whether the last user message is arithmetic: two answers can then be compared by their numbers."""
    return arithmetic(_question(job)[0])
