"""Runs programs of the pages with stand-ins for openai and httpx, and prints what each of them would have sent.

In: a JSON list of programs; out: for each, [method, arguments] with files as {"file": name}.
"""

import builtins
import io
import json
import os
import sys
import types
from typing import Any


class Answer:
    """Whatever a program does with an answer, it finds nothing there."""

    def __getattr__(self, name: str) -> Any:
        return Answer()

    def __iter__(self) -> Any:
        return iter(())

    def __getitem__(self, at: Any) -> "Answer":
        return Answer()

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, *arguments: Any, **named: Any) -> "Answer":
        return self

    def json(self) -> None:
        return None


class Path:
    """A client, or the part of it that a dotted name leads to; calling it is the request."""

    def __init__(self, sent: list[Any], name: str = "") -> None:
        self._sent, self._name = sent, name

    def __getattr__(self, name: str) -> "Path":
        return Path(self._sent, f"{self._name}.{name}".strip("."))

    def __call__(self, *arguments: Any, **named: Any) -> Answer:
        self._sent.append([self._name, list(arguments), named])
        return Answer()


class File:
    def __init__(self, name: str) -> None:
        self.file = name


def run(code: str) -> Any:
    sent: list[Any] = []
    openai, httpx = types.ModuleType("openai"), types.ModuleType("httpx")
    openai.OpenAI = lambda base_url: sent.append(base_url) or Path(sent)  # type: ignore[attr-defined,func-returns-value]
    for method in ("get", "post", "patch", "delete"):
        setattr(httpx, method, getattr(Path(sent), method))
    sys.modules |= {"openai": openai, "httpx": httpx}
    opened = {**vars(builtins), "open": lambda name, mode: File(name), "print": lambda *_, **__: None}
    exec(compile(code, "program", "exec"), {"__builtins__": opened})
    return sent


os.environ["OPENAI_API_KEY"] = "sk-sage-mine"
programs = json.load(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"))
print(json.dumps([run(code) for code in programs], default=vars))
