"""What can be seen of a chat's last question without a model, in microseconds."""

import re

from server.core import ChatJob

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


def question(job: ChatJob) -> tuple[str, bool]:
    """The last user message's text as far as the rules read it, and whether there are images beside it."""
    content = next((message["content"] for message in reversed(job.messages) if message["role"] == "user"), "")
    if isinstance(content, str):
        return content[:LOOKED_AT], False
    text = " ".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return text[:LOOKED_AT], any(part.get("type") == "image_url" for part in content)


def code(text: str) -> bool:
    """Whether the text shows code, or asks for some."""
    return bool(_CODE.search(text))


def arithmetic(text: str) -> bool:
    """Whether the text asks for a calculation: a sum as such, or two numbers and a word that counts."""
    if _SUM.search(text):
        return True
    numbers = _NUMBER.finditer(text)
    return next(numbers, None) is not None and next(numbers, None) is not None and bool(_COUNTING.search(text))


def asks_for_a_number(job: ChatJob) -> bool:
    """Whether the last user message is arithmetic: two answers can then be compared by their numbers."""
    return arithmetic(question(job)[0])
