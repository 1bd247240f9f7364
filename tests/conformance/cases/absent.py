"""What a server may lack. A route that isn't there says so in the envelope, and what to use instead."""

from typing import Any

from tests.conformance.case import case
from tests.conformance.expect import error, that
from tests.conformance.target import Target


def _absent(name: str, title: str, url: str, body: Any, *, served: bool = False) -> None:
    """served: it may as well be there."""

    def check(target: Target) -> None:
        answer = target.post(url, body, here=False)
        if served and answer.status in (200, 400):
            return
        value = error(answer, 404)
        told = value.message.partition(")")[2] if value.message.startswith("Invalid URL (") else value.message
        that(len(told) > 20, f"the message says nothing of what to use instead: {value.message}")

    check.__name__ = name
    check.__doc__ = title
    case("sagehold, OpenAI")(check)


_absent(
    "moderations",
    "POST /v1/moderations is served, or a clear 404.",
    "/moderations",
    {"input": "Hello", "model": "omni-moderation-latest"},
    served=True,
)
_absent("assistants", "POST /v1/assistants: a 404 that says what to use instead.", "/assistants", {"model": "gpt-4o"})
_absent("threads", "POST /v1/threads: a 404 that says what to use instead.", "/threads", {})
_absent("fine_tuning", "POST /v1/fine_tuning/jobs: a 404 that says what to use instead.", "/fine_tuning/jobs", {})
_absent(
    "vector_stores", "POST /v1/vector_stores: a 404 that says what to use instead.", "/vector_stores", {"name": "a"}
)


@case("OpenAI")
def stored_completions(target: Target) -> None:
    """GET /v1/chat/completions, the list of stored ones: 404 or 405 in the envelope."""
    error(target.get("/chat/completions", here=False), (404, 405))


@case("OpenAI")
def realtime(target: Target) -> None:
    """GET /v1/realtime without a websocket: a refusal in the envelope."""
    error(target.get("/realtime", here=False), (400, 404, 405, 426))
