"""Text of token ids that OpenAI's tokenizer cl100k_base has made: clients send such ids to be embedded.

A model has a vocabulary of its own, in which the same ids mean other words: they are read as the text that they stand
for, and never as they are.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from server.errors import InvalidRequest, ModelUnavailable

TABLE = "cl100k-base/cl100k_base.tiktoken"
"""The table's place in SAGEHOLD_MODELS_DIR. A line of it is a token's bytes in base64, a space, and its id."""

SPECIAL = MappingProxyType(
    {
        100257: b"<|endoftext|>",
        100258: b"<|fim_prefix|>",
        100259: b"<|fim_middle|>",
        100260: b"<|fim_suffix|>",
        100276: b"<|endofprompt|>",
    }
)
"""Those that the table does not have (openai/tiktoken, `tiktoken_ext/openai_public.py`)."""


class Cl100k:
    """The bytes of each id. file: the table."""

    def __init__(self, file: Path) -> None:
        """Takes a tenth of a second.

        Raises InvalidRequest where the table is not installed, ModelUnavailable where it is damaged.
        """
        try:
            pairs = (line.split() for line in file.read_bytes().splitlines() if line)
            self._bytes = {int(number): base64.b64decode(token) for token, number in pairs} | SPECIAL
        except FileNotFoundError:
            message = "Token ids can't be read here: the table of cl100k_base is not installed. Send text instead."
            raise InvalidRequest(message, param="input", code="unsupported_value") from None
        except (OSError, ValueError):
            raise ModelUnavailable("The table of cl100k_base is damaged; see: scripts/models --check") from None

    def text(self, ids: Sequence[int], param: str) -> str:
        """Their text. Raises InvalidRequest, of `param`, for an id that is none.

        Whoever cuts a text between two ids may cut a character in two: what is left of it is U+FFFD.
        """
        try:
            return b"".join([self._bytes[number] for number in ids]).decode("utf-8", "replace")
        except KeyError as error:
            message = f"Invalid value for '{param}': {error.args[0]} is no token id of cl100k_base."
            raise InvalidRequest(message, param=param) from None
