"""What our own server does otherwise than documented, and why.

Each is expected to fail (tests/e2e/test_conformance.py): one that has been mended is a failure until it is taken out.
"""

from collections.abc import Mapping

OURS: Mapping[str, str] = {}
"""By the case's id: the reason, for the table in docs/conformance.md."""
