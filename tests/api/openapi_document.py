"""Real answers, held against /openapi.json."""

import json
import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator

JSON = "application/json"
EVENTS = "text/event-stream"


class Document:
    def __init__(self, document: dict[str, Any]) -> None:
        self.whole = document

    def operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Method, path and operation."""
        return [
            (method, path, operation)
            for path, operations in self.whole["paths"].items()
            for method, operation in operations.items()
        ]

    def examples(self) -> list[tuple[str, str, str, Any]]:
        """Method, path, what it shows, and the body."""
        return [
            (method, path, example["summary"], example["value"])
            for method, path, operation in self.operations()
            for content in operation.get("requestBody", {}).get("content", {}).values()
            for example in content.get("examples", {}).values()
        ]

    def check(self, answer: httpx.Response) -> None:
        """Fail unless the document describes the answer: its status, its media type, and each field of its JSON."""
        operation = self._operation(answer.request.method, answer.request.url.path)
        assert str(answer.status_code) in operation["responses"], (answer.request.url.path, answer.status_code)
        described = self._resolved(operation["responses"][str(answer.status_code)])
        media = answer.headers["content-type"].partition(";")[0]
        assert media in described["content"], (media, list(described["content"]))
        schema = described["content"][media]["schema"]
        if media == JSON:
            self.validate(answer.json(), schema)
        elif media == EVENTS:
            for event in events(answer.text):
                self.validate(event, schema)

    def validate(self, value: Any, schema: dict[str, Any]) -> None:
        whole = {**schema, "components": self.whole["components"]}
        found = sorted(Draft202012Validator(whole).iter_errors(value), key=lambda error: -len(error.absolute_path))
        assert not found, [f"{error.json_path}: {error.message[:300]}" for error in found[:3]]

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        for template, operations in self.whole["paths"].items():
            if re.fullmatch(re.sub(r"{[^}]*}", "[^/]+", template), path) and method.lower() in operations:
                found: dict[str, Any] = operations[method.lower()]
                return found
        raise AssertionError(f"{method} {path} is not in the document")

    def _resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in part:
            found: Any = self.whole
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part


def events(text: str) -> list[Any]:
    """The data of each server-sent event, but for [DONE]."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(one) for one in data if one != "[DONE]"]
