"""Rows of chat and of starts, by the files of `scripts/bench chat --same-openmp` and `scripts/bench start`. Pure."""

from collections.abc import Mapping
from typing import Any

from scripts.benchmarks.figures import Spread, ratio
from scripts.benchmarks.media_goals import Goal

CHAT = Goal("≥", 1.0)
"""Tokens a second, by vLLM's own server with the same OpenMP settings."""
STARTS = {"sagehold, chat only": Goal("≤", 0.3), "sagehold": Goal("≤", 0.45)}
"""Start to ready, by that of vLLM's own server with the chat model."""
OURS, THEIRS, STARTED = "sagehold", "vLLM, our OpenMP", "vLLM"
HEAD = "| | this server | vLLM's own | ratio by round | aim | |\n|---|---|---|---|---|---|"


def table(chat: Mapping[str, Any] | None, start: Mapping[str, Any] | None) -> str:
    """Rows of the files that there are; "" for none. Raises LookupError where a file holds another comparison."""
    lines = [*(_chats(chat) if chat else ()), *(_starts(start) if start else ())]
    return "\n".join([HEAD, *lines]) if lines else ""


def _chats(chat: Mapping[str, Any]) -> list[str]:
    rows = {(row["streams"], row["side"]): row for row in chat["summary"]}
    lines = []
    for streams in dict.fromkeys(row["streams"] for row in chat["summary"]):
        if (streams, THEIRS) not in rows:
            raise LookupError("the figures of chat have no vLLM with our OpenMP settings: take them with --same-openmp")
        ours, theirs = rows[streams, OURS], rows[streams, THEIRS]
        gain = Spread(**ours["throughput_ratio"])
        lines.append(
            _line(
                f"chat, {streams} stream{'s' if streams > 1 else ''}, tok/s",
                Spread(**ours["throughput"]).shown(),
                Spread(**theirs["throughput"]).shown(),
                gain,
                CHAT,
            )
        )
    return lines


def _starts(start: Mapping[str, Any]) -> list[str]:
    seconds = start["seconds"]
    if STARTED not in seconds:
        raise LookupError("the figures of starts have none of vLLM's")
    theirs = seconds[STARTED]
    return [
        _line(
            f"start to ready, {'chat alone' if 'chat' in side else 'everything'}, s; its time by vLLM's",
            Spread.of(seconds[side]).shown(),
            Spread.of(theirs).shown(),
            ratio(seconds[side], theirs),
            goal,
        )
        for side, goal in STARTS.items()
        if side in seconds
    ]


def _line(label: str, ours: str, theirs: str, gain: Spread, goal: Goal) -> str:
    return f"| {label} | {ours} | {theirs} | {gain.shown(2)} | {goal} | {goal.verdict(gain.median)} |"
