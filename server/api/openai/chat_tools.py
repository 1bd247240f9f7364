"""The functions that a chat may call, in today's form and in the legacy one, and which of them it must."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from server.api.openai.chat_messages import as_mapping
from server.api.openai.weight import heavier
from server.api.validation import Body
from server.core import Tool
from server.errors import InvalidRequest

MOST_WEIGHT = 1024 * 1024
"""Of all functions together, as `heavier` weighs. Their schemas are written into the prompt."""

FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Function(Body):
    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None

    def tool(self) -> Tool:
        return Tool(self.name, self.description, self.parameters, bool(self.strict))


class ToolParam(Body):
    type: str = "function"
    function: Function | None = None


class FunctionRef(Body):
    name: FunctionName


Mode = Literal["auto", "required", "none"]


class AllowedTools(Body):
    mode: Mode = "auto"
    tools: list[dict[str, Any]] = Field(min_length=1)


class ToolChoice(Body):
    """name, mode, tools: in the responses API they stand beside the type, and in chats within `function` and
    `allowed_tools`."""

    type: Literal["function", "allowed_tools"]
    function: FunctionRef | None = None
    allowed_tools: AllowedTools | None = None
    name: FunctionName | None = None
    mode: Mode = "auto"
    tools: list[dict[str, Any]] | None = Field(None, min_length=1)

    @property
    def named(self) -> str | None:
        """The one function that is to be called."""
        return self.name if self.function is None else self.function.name

    @property
    def allowed(self) -> AllowedTools | None:
        if self.allowed_tools is None and self.tools is not None:
            return AllowedTools(mode=self.mode, tools=self.tools)
        return self.allowed_tools


Choice = Literal["none", "auto", "required"] | FunctionName | ToolChoice | None
"""A bare name means the function of that name."""
LegacyChoice = Literal["none", "auto"] | FunctionName | FunctionRef | None


def tools_of(tools: Sequence[ToolParam], choice: Choice) -> tuple[tuple[Tool, ...], str | tuple[str]]:
    """The functions, and the choice as a ChatJob has it. Raises InvalidRequest where they don't go together."""
    return chosen_of([_function_of(tool, f"tools[{i}]").tool() for i, tool in enumerate(tools)], choice)


def chosen_of(known: list[Tool], choice: Choice) -> tuple[tuple[Tool, ...], str | tuple[str]]:
    """As `tools_of`, of functions in whatever form they came."""
    _check_weight(known, "tools")
    chosen: str | FunctionRef
    if isinstance(choice, ToolChoice):
        known, chosen = _narrow(known, choice)
    elif choice in ("none", "auto", "required", None):
        chosen = choice or ("auto" if known else "none")
    else:
        chosen = FunctionRef(name=choice)
    return _chosen(known, chosen, "tool_choice")


def legacy_tools_of(functions: Sequence[Function], choice: LegacyChoice) -> tuple[tuple[Tool, ...], str | tuple[str]]:
    """As `tools_of`, of `functions` and `function_call`."""
    if isinstance(choice, str) and choice not in ("none", "auto"):
        choice = FunctionRef(name=choice)
    known = [function.tool() for function in functions]
    _check_weight(known, "functions")
    return _chosen(known, choice or "auto", "function_call")


def _check_weight(tools: Sequence[Tool], param: str) -> None:
    if tools and heavier([part for tool in tools for part in (tool.description, tool.parameters) if part], MOST_WEIGHT):
        raise InvalidRequest(f"The descriptions and parameters in {param} are too long together.", param=param)


def _chosen(tools: list[Tool], choice: str | FunctionRef, param: str) -> tuple[tuple[Tool, ...], str | tuple[str]]:
    if isinstance(choice, FunctionRef):
        if choice.name not in {tool.name for tool in tools}:
            raise InvalidRequest(f"There is no function named '{choice.name}' to call.", param=param)
        return tuple(tools), (choice.name,)
    if not tools:
        if choice == "required":
            raise InvalidRequest("tool_choice needs tools.", param=param)
        return (), "none"
    return tuple(tools), choice


def check_form(sampling: Mapping[str, Any], choice: str | tuple[str]) -> None:
    """Raises InvalidRequest where a form is asked of answers in words, of which a demanded call leaves none.

    sampling: as `SamplingRequest.sampling` has it. A schema in `response_format` stands back: a call obeys that of its
    function.
    """
    field = sampling.get("form_field", "response_format")
    if (sampling.get("constraint") or field != "response_format") and choice not in ("none", "auto"):
        raise InvalidRequest(f"{field} can't stand beside a call that tool_choice demands.", param=field)


def _function_of(tool: ToolParam, param: str) -> Function:
    if tool.type != "function":
        raise unsupported_tool(tool.type, param)
    if tool.function is None:
        raise InvalidRequest(
            f"Missing required parameter: '{param}.function'.",
            param=f"{param}.function",
            code="missing_required_parameter",
        )
    return tool.function


def unsupported_tool(kind: str, param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Tools of type '{kind[:40]}' are not supported.", param=f"{param}.type", code="unsupported_value"
    )


def _narrow(tools: list[Tool], choice: ToolChoice) -> tuple[list[Tool], str | FunctionRef]:
    """The functions and the choice that an object in `tool_choice` means."""
    if choice.type == "function":
        if choice.named is None:
            raise InvalidRequest(
                "Missing required parameter: 'tool_choice.function'.",
                param="tool_choice.function",
                code="missing_required_parameter",
            )
        return tools, FunctionRef(name=choice.named)
    if choice.allowed is None:
        raise InvalidRequest(
            "Missing required parameter: 'tool_choice.allowed_tools'.",
            param="tool_choice.allowed_tools",
            code="missing_required_parameter",
        )
    names = {str(as_mapping(tool.get("function", tool)).get("name")) for tool in choice.allowed.tools}
    allowed = [tool for tool in tools if tool.name in names]
    if not allowed:
        where = "tool_choice.tools" if choice.allowed_tools is None else "tool_choice.allowed_tools.tools"
        raise InvalidRequest("None of the allowed tools is among tools.", param=where)
    return allowed, choice.allowed.mode
