"""The body of /server/query and its kin: a question in either form, and what the answer may draw on."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from server.api.openai.chat_messages import MOST_MESSAGES, Message, engine_messages
from server.api.openai.chat_tools import Choice, ToolParam, tools_of
from server.api.openai.quality import QualityField
from server.api.validation import Body
from server.core import Tool
from server.errors import InvalidRequest

DEFAULT_MODEL = "openai_gpt"
"""Stands for the setting `asksage_model`, or for the first model that chats."""
DEFAULT_REFERENCES = 5
"""Passages that an answer draws on where the client sets no limit."""
MOST_REFERENCES = 50
MOST_DATASETS = 100
MOST_NAMES = 10 * MOST_DATASETS
"""That are looked at: some may be empty, or come twice."""

ROLES: Mapping[str, str] = {"me": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
"""Of the turns of `message`, which are `me` and `gpt` in the Ask Sage API."""


class Turn(Body):
    """One turn of a conversation."""

    user: Literal["me", "gpt", "user", "assistant"]
    message: str


def _some(turns: Any) -> Any:
    """One too many at most: `conversation` refuses them, and nobody waits until all have been looked at."""
    return turns[: MOST_MESSAGES + 1] if isinstance(turns, list) else turns


def _functions(tools: Any) -> Any:
    """The flat form `{name, description, parameters}` as OpenAI's nested one."""
    if not isinstance(tools, list):
        return tools
    return [
        {"type": "function", "function": one}
        if isinstance(one, dict) and "function" not in one and "name" in one
        else one
        for one in tools
    ]


def _names(given: Any) -> Any:
    """A text with commas as a list; a list's texts may have them too. What is no list of texts is left as it is."""
    several = [given] if isinstance(given, str) else given
    if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
        return given
    if len(several) + sum(one.count(",") for one in several) > MOST_NAMES:
        raise ValueError(f"there are more than {MOST_DATASETS} names")
    names = (name.strip() for one in several for name in one.split(","))
    return list(dict.fromkeys(name for name in names if name))


DatasetNames = Annotated[list[str], BeforeValidator(_names), Field(max_length=MOST_DATASETS)]


class QueryBody(Body):
    """Fields that are not named here are ignored, as they are by the service.

    message: a text, or turns. messages: the same as the OpenAI API has it. persona: a number or a name; any other is
    the default one. dataset: names, `all` or `none`. limit_references: most passages of datasets, 0 for none.
    live: 1 searches the web or an archive, 2 reads the first pages too. system_prompt: in place of the persona's.
    max_tokens, max_completion_tokens: of the answer; without them it has the room that the context leaves.
    """

    message: Annotated[str | list[Turn] | None, BeforeValidator(_some)] = None
    messages: list[Message] | None = Field(None, min_length=1, max_length=MOST_MESSAGES)
    model: str = Field(DEFAULT_MODEL, min_length=1)
    persona: Any = None
    dataset: DatasetNames = Field(default_factory=lambda: ["all"])
    limit_references: int | None = Field(None, ge=0)
    temperature: float = Field(0.0, ge=0, le=1)
    live: int = Field(0, ge=0, le=2)
    system_prompt: str | None = None
    tools: Annotated[list[ToolParam], BeforeValidator(_functions), Field(max_length=128)] = Field(default_factory=list)
    tool_choice: Choice = None
    enabled_mcp_tools: list[str] = Field(default_factory=list)
    tools_to_execute: list[str] = Field(default_factory=list)
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    mode: Literal["chat", "deep_agent"] = "chat"
    streaming: bool = False
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    usage: bool = False
    quality: QualityField = None

    @model_validator(mode="after")
    def _served(self) -> "QueryBody":
        if self.mode == "deep_agent":
            raise InvalidRequest(
                "mode 'deep_agent' is not served here: agents run in your program, by `tools`.",
                param="mode",
                code="unsupported_value",
            )
        for field in ("enabled_mcp_tools", "tools_to_execute"):
            if getattr(self, field):
                raise InvalidRequest(
                    f"{field}: no tools are run by this server. Call functions of your own by `tools`.",
                    param=field,
                    code="unsupported_parameter",
                )
        return self

    def conversation(self) -> list[Mapping[str, Any]]:
        """OpenAI messages, with the roles that engines know. Raises InvalidRequest."""
        if self.message and self.messages:
            raise InvalidRequest("Send either message or messages, not both.", param="messages")
        if self.messages:
            return engine_messages(self.messages)
        if not self.message:
            raise InvalidRequest(
                "Missing required parameter: 'message'.", param="message", code="missing_required_parameter"
            )
        if isinstance(self.message, str):
            return [{"role": "user", "content": self.message}]
        if len(self.message) > MOST_MESSAGES:
            raise InvalidRequest(f"A conversation has at most {MOST_MESSAGES} turns.", param="message")
        return [{"role": ROLES[turn.user], "content": turn.message} for turn in self.message]

    def functions(self) -> tuple[tuple[Tool, ...], str | tuple[str]]:
        """The functions, and the choice as a ChatJob has it. Raises InvalidRequest."""
        return tools_of(self.tools, self.tool_choice)

    @property
    def datasets(self) -> Sequence[str]:
        return self.dataset

    @property
    def references(self) -> int:
        return DEFAULT_REFERENCES if self.limit_references is None else min(self.limit_references, MOST_REFERENCES)

    @property
    def asked_persona(self) -> int | str | None:
        """None where the client leaves the choice."""
        asked = self.persona
        return asked if isinstance(asked, int | str) and not isinstance(asked, bool) and asked != "default" else None
