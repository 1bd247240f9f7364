"""A request's record as the layers leave it at the request's end."""

from typing import Any

from server.core import Usage
from server.observability import RequestRecord


class Ran:
    """What a Run of one chat lets the record read."""

    usage = Usage(prompt_tokens=10, completion_tokens=25)
    first_event = 100.25


def record(**fields: Any) -> RequestRecord:
    made = RequestRecord(
        id="req_1", method="POST", path="/v1/chat/completions", started=100.0, status=200, route="/v1/chat/completions"
    )
    for name, value in fields.items():
        setattr(made, name, value)
    return made
