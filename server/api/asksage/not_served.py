"""Parts of the Ask Sage API that are not served, and what to use instead."""

from collections.abc import Mapping

_AGENTS = "Agents and workflows are not run here: call functions of your own by `tools` of /server/query."
_MCP = "This server calls no MCP servers: call functions of your own by `tools` of /server/query."
_TABLES = "Tables are added to a dataset by /server/train-with-file, and asked by /server/query."
_ACCOUNTS = "Accounts and keys are made by whoever runs this server: `sagehold accounts`, `sagehold keys`, /admin/v1."
_WORKBOOKS = "Keep them in your program; chats are kept by /user/append-chat."

INSTEAD: Mapping[str, str] = {
    "/server/list-agents": _AGENTS,
    "/server/execute-agent": _AGENTS,
    "/server/list-workflows": _AGENTS,
    "/server/execute-workflow": _AGENTS,
    "/server/add-mcp-server": _MCP,
    "/server/update-mcp-server": _MCP,
    "/server/delete-mcp-server": _MCP,
    "/server/list-mcp-servers": _MCP,
    "/server/list-mcp-tools": _MCP,
    "/server/list-mcp-whitelisted-servers": _MCP,
    "/server/train-tabular": _TABLES,
    "/server/query-tabular": _TABLES,
    "/server/tabular-schema": _TABLES,
    "/server/get-train": "What is in a dataset is listed by /server/get-all-files-ingested.",
    "/server/copy-files-dataset": "Add the files to the other dataset by /server/train-with-file.",
    "/server/check-link-status": "Links are not ingested here: add files by /server/train-with-file.",
    "/server/get-learning-videos": "There are no videos here: see docs/asksage.md.",
    "/user/register": _ACCOUNTS,
    "/user/verify-email": _ACCOUNTS,
    "/user/lost-pass": _ACCOUNTS,
    "/user/update": _ACCOUNTS,
    "/user/update-mfa": _ACCOUNTS,
    "/user/login": "Exchange an API key for a token by /user/get-token-with-api-key.",
    "/user/logout": "Tokens end after 24 hours, or with their key.",
    "/user/request-tokens": "Credits are granted by whoever runs this server: `sagehold accounts grant`, /admin/v1.",
    "/user/get-headers": "Nothing here depends on the headers of a proxy.",
}
"""By canonical path."""

_BY_WORD: Mapping[str, str] = {
    "mcp": _MCP,
    "agent": _AGENTS,
    "workflow": _AGENTS,
    "tabular": _TABLES,
    "workbook": _WORKBOOKS,
    "memo": _WORKBOOKS,
    "widget": _WORKBOOKS,
    "anthropic": "The Anthropic API is not served here: use /server/query or /v1/chat/completions.",
    "google": "The Gemini API is not served here: use /server/query or /v1/chat/completions.",
    "superadmin": _ACCOUNTS,
}
"""By what stands in the path, for families of many."""


def instead_of(path: str) -> str | None:
    """What to use in place of a path that is not served; None where nothing comes near."""
    if path in INSTEAD:
        return INSTEAD[path]
    return next((instead for word, instead in _BY_WORD.items() if word in path), None)
