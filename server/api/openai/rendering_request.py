"""How a chat is written for the model: the fields of vLLM's users for it, and what a request may not set."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from server.api.openai.weight import heavier
from server.api.validation import Body
from server.errors import InvalidRequest

MOST_ARGUMENTS = 64
"""Arguments for the template, which reads a handful."""
MOST_ARGUMENT_WEIGHT = 64 * 1024
"""Of all of them, as `heavier` weighs. 400,000 of them kept the one thread that writes prompts for half a minute."""
MOST_DOCUMENTS = 256
MOST_DOCUMENT_BYTES = 1 << 20
"""Of all documents together, as JSON."""

NOT_TAKEN: Mapping[str, str] = {
    "chat_template": "A request can't bring its own chat template.",
    "mm_processor_kwargs": "A request can't set how pictures and sound are processed.",
    "media_io_kwargs": "A request can't set how pictures and sound are read.",
    "add_special_tokens": "The chat template writes all special tokens of a prompt; add_special_tokens can't be true.",
    "echo": "A chat answers without its last message before it; echo can't be true. See continue_final_message.",
    "truncation_side": "Prompts are truncated from the left: truncate_prompt_tokens keeps the last ones.",
}


class RenderingRequest(Body):
    continue_final_message: bool = False
    add_generation_prompt: bool | None = None
    documents: list[dict[str, str]] | None = Field(None, max_length=MOST_DOCUMENTS)
    truncate_prompt_tokens: int | None = Field(None, ge=-1, lt=2**31)
    chat_template_kwargs: dict[str, Any] | None = None
    # refused by name
    chat_template: Any = None
    mm_processor_kwargs: Any = None
    media_io_kwargs: Any = None
    add_special_tokens: bool = False
    echo: bool = False
    truncation_side: Any = None

    def rendering(self) -> dict[str, Any]:
        """The fields of a ChatJob that say how its prompt is written. Raises InvalidRequest."""
        for name, message in NOT_TAKEN.items():
            value = getattr(self, name)
            if value and not (name == "truncation_side" and value == "left"):
                raise InvalidRequest(message, param=name, code="unsupported_value")
        if self.continue_final_message and self.add_generation_prompt:
            raise InvalidRequest(
                "continue_final_message and add_generation_prompt can't both be true.", param="add_generation_prompt"
            )
        if self.truncate_prompt_tokens == 0:
            raise InvalidRequest(
                "0 tokens are no prompt; -1 keeps as many as there is room for.", param="truncate_prompt_tokens"
            )
        if self.documents and (
            heavier(self.documents, MOST_DOCUMENT_BYTES)
            or len(json.dumps(self.documents, ensure_ascii=False).encode()) > MOST_DOCUMENT_BYTES
        ):
            raise InvalidRequest(
                f"The documents are longer than {MOST_DOCUMENT_BYTES} bytes together.", param="documents"
            )
        return {
            "continue_final_message": self.continue_final_message,
            "add_generation_prompt": self.add_generation_prompt is not False and not self.continue_final_message,
            "documents": tuple(self.documents or ()),
            "truncate_prompt_tokens": self.truncate_prompt_tokens,
            "chat_template_kwargs": template_arguments(self.chat_template_kwargs),
        }


def template_arguments(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """`chat_template_kwargs` as given. Raises InvalidRequest for too many of them, or too much in them."""
    if given and len(given) > MOST_ARGUMENTS:
        message = f"chat_template_kwargs has {len(given)} arguments; the limit is {MOST_ARGUMENTS}."
        raise InvalidRequest(message, param="chat_template_kwargs")
    if given and heavier(given, MOST_ARGUMENT_WEIGHT):
        raise InvalidRequest("The arguments in chat_template_kwargs are too long.", param="chat_template_kwargs")
    return given
