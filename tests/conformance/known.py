"""What our own server does otherwise than documented, and why.

Each is expected to fail (tests/e2e/test_conformance.py): one that has been mended is a failure until it is taken out.
"""

from collections.abc import Mapping

_CUT = "A result without its call is taken: programs cut old messages off, and the call with them."
_EYES = "No starter model has eyes; tests/engines/vllm show the way of a picture by a tiny model of their own."

OURS: Mapping[str, str] = {
    "headers.rate_limits": "The first key of a server has no limits. Where a key has them, the headers are there.",
    "errors.tool_result_without_call": _CUT,
    "tools.other_result": _CUT,
    "vision.image_part": _EYES,
    "vision.broken_picture": _EYES,
    "open_responses.image_input": _EYES,
}
"""By the case's id: the reason, for the table in docs/conformance.md."""

PENDING: Mapping[str, str] = {}
"""By the file of cases: those about routes and fields that are being built. They may fail or pass."""


def pending(name: str) -> bool:
    file, _, case = name.partition(".")
    return case in PENDING.get(file, "").split()
