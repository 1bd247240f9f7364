"""Plugins: prompts with a name, which clients fill in by themselves or have filled in here. Data, and what finds it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.errors import InvalidRequest, NotFound


@dataclass(frozen=True, slots=True)
class Template:
    """fields: the names in the text, and what each is. The text's own braces would have to be doubled."""

    id: str
    tag: str
    title: str
    description: str
    category: str
    text: str
    fields: Mapping[str, str] = field(default_factory=lambda: {"text": "The text"})
    file_mode: bool = False

    @property
    def prompt_template(self) -> str:
        """Clients look for `[[tag]]` in it, then fill it in by Python's `str.format`."""
        return f"[[{self.tag}]] {self.text}"

    def filled(self, values: Mapping[str, str]) -> str:
        """Raises InvalidRequest for a field that has no value."""

        def put(found: re.Match[str]) -> str:
            name = found[1]
            if name not in values:
                raise InvalidRequest(
                    f"Missing required parameter: 'plugin_values.{name}'.",
                    param=f"plugin_values.{name}",
                    code="missing_required_parameter",
                )
            return values[name]

        return _FIELD.sub(put, self.text)

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "plugin_name": self.tag,
            "title": self.title,
            "description": self.description,
            "category": self.category,
            "file_mode": self.file_mode,
            "paid_only": False,
            "regex": None,
            "prompt_template": self.prompt_template,
            "fields": [{"name": name, "label": label, "type": "text"} for name, label in self.fields.items()],
        }


_FIELD = re.compile(r"\{(\w+)\}")
_TAG = re.compile(r"^\s*\[\[([^\[\]]{1,64})\]\]\s*")

TEMPLATES: Sequence[Template] = (
    Template("1", "summarize", "Summarize", "The main points of a text.", "Writing",
             "Summarize the following text in a short paragraph, then list its main points.\n\n{text}"),
    Template("2", "translate", "Translate", "A text in another language.", "Writing",
             "Translate the following text into {language}. Keep its meaning, names and numbers.\n\n{text}",
             {"text": "The text", "language": "The language to translate into"}),
    Template("3", "rewrite", "Rewrite", "A text in another style.", "Writing",
             "Rewrite the following text in this style: {style}. Keep its meaning.\n\n{text}",
             {"text": "The text", "style": "The style, such as plain or formal"}),
    Template("4", "proofread", "Proofread", "A text without mistakes.", "Writing",
             "Correct the spelling and grammar of the following text, and change nothing else.\n\n{text}"),
    Template("5", "actions", "Extract actions", "What is to be done, by whom and until when.", "Analysis",
             "List the actions that follow from the text: what is to be done, by whom, and until when.\n\n{text}"),
    Template("6", "facts", "Extract facts", "Names, dates and figures of a text.", "Analysis",
             "List the names, dates, places and figures in the following text, each with what it is.\n\n{text}"),
    Template("7", "explain", "Explain", "A text in plain words.", "Analysis",
             "Explain the following for {audience}, in plain words.\n\n{text}",
             {"text": "The text", "audience": "For whom, such as a new colleague"}),
    Template("8", "code", "Explain code", "What a piece of code does.", "Code",
             "Explain what this code does, step by step, and name mistakes if there are any.\n\n{text}",
             {"text": "The code"}),
    Template("9", "email", "Write an e-mail", "An e-mail from notes.", "Writing",
             "Write an e-mail in this tone: {tone}. It is to say:\n\n{text}",
             {"text": "What it is to say", "tone": "The tone, such as friendly"}),
    Template("10", "questions", "Ask questions", "What a text leaves open.", "Analysis",
             "Write five questions that the following text leaves open.\n\n{text}"),
    Template("11", "file", "Summarize a file", "The main points of a file.", "Files",
             "Summarize the attached file, then list its main points.", {}, file_mode=True),
)  # fmt: skip
"""Their ids and tags stay: clients keep them."""

_BY_NAME: Mapping[str, Template] = {
    name.lower(): one for one in reversed(TEMPLATES) for name in (one.id, one.title, one.tag)
}


def template(name: str) -> Template:
    """By its tag, with brackets or without, its title or its id. Raises NotFound."""
    found = _BY_NAME.get(name.strip().removeprefix("[[").removesuffix("]]").strip().lower())
    if found is None:
        raise NotFound(f"There is no plugin `{name[:64]}`.", param="plugin_name")
    return found


def without_tag(message: str) -> str:
    """A message without the tag of a plugin of ours at its head, which clients leave there."""
    found = _TAG.match(message)
    if found is None or found[1].strip().lower() not in _BY_NAME:
        return message
    return message[found.end() :]
