"""Chat templates: whether one can be read, and whether a model has one. No vLLM in it but for a loaded engine's."""

import json
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

log = logging.getLogger(__name__)

TEMPLATES = ("chat_template.jinja", "chat_template.json")
"""Files of a model's folder that hold a template, besides tokenizer_config.json."""
OTHERS = ("tekken.json", "tokenizer.model.v3", "params.json")
"""Files of a model of Mistral's, whose tokenizer writes the prompt without a template."""

MISSING = "the model has no chat template, so chat requests will be refused; name one by the field `chat_template`"


class _Generation(Extension):
    """`{% generation %}`, with which transformers marks what an assistant said; here it only has to be read."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )


@lru_cache(maxsize=32)
def reads(template: str) -> frozenset[str]:
    """The names that a template takes from outside, jinja's own functions included."""
    return frozenset(meta.find_undeclared_variables(_environment().parse(template)))


@dataclass(frozen=True, slots=True)
class Look:
    """What a template does with texts besides writing them.

    seeks: strings that it looks for: `"x" in content`, `content.split("x")` and the like. removes: those that it takes
    out or replaces. reasoning: whether it has a place of its own for what an assistant thought.
    """

    seeks: frozenset[str] = frozenset()
    removes: frozenset[str] = frozenset()
    reasoning: bool = False


@lru_cache(maxsize=32)
def look(template: str) -> Look:
    tree = _environment().parse(template)
    seeks: list[nodes.Node] = [
        compared.expr
        for compared in tree.find_all(nodes.Compare)
        if any(operand.op in ("in", "notin") for operand in compared.ops)
    ]
    removes: list[nodes.Node] = []
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr):
            if call.node.attr in ("replace", "removeprefix", "removesuffix"):
                removes += call.args[:1]
            elif call.node.attr in _SEARCHES:
                seeks += call.args
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name == "replace":
            removes += filtered.args[:1]
    return Look(_strings(seeks), _strings(removes), "reasoning_content" in template)


_SEARCHES = frozenset(
    ("count", "endswith", "find", "index", "partition", "rfind", "rpartition", "rsplit", "split", "startswith")
)


def _strings(found: list[nodes.Node]) -> frozenset[str]:
    """Of these nodes, the constant texts, white space alone left out."""
    return frozenset(
        one.value for one in found if isinstance(one, nodes.Const) and isinstance(one.value, str) and one.value.strip()
    )


def problem(file: Path) -> str | None:
    """Why `file` can't be a chat template, by the grammar that transformers compiles them with."""
    if not file.is_file():
        return f"there is no file {file.name}"
    try:
        _environment().parse(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return f"{file.name} is no UTF-8 text"
    except TemplateSyntaxError as error:
        return f"{file.name}, line {error.lineno}: {error.message}"
    return None


def shipped(folder: Path) -> bool:
    """Whether a model's folder seems to bring a way of writing chats. True where that can't be seen from its files."""
    if not folder.is_dir() or any((folder / name).exists() for name in (*TEMPLATES, *OTHERS, "chat_templates")):
        return True
    try:
        return bool(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError, AttributeError):
        return True  # damaged: loading it will say so


def written_in_code(renderer: Any) -> bool:
    """Whether the model's chats are written by code of vLLM's, not by a template. renderer: vLLM's OnlineRenderer."""
    from vllm.renderers.hf import HfRenderer

    return bool(renderer.use_harmony) or not isinstance(renderer.renderer, HfRenderer)


def of(renderer: Any, tools: list[dict[str, Any]] | None = None) -> str | None:
    """The template of a loaded engine for a chat with these functions; None where it has none.

    renderer: vLLM's OnlineRenderer, whose chats a template writes.
    """
    from vllm.renderers.hf import resolve_chat_template

    tokenizer, config = renderer.renderer.get_tokenizer(), renderer.model_config
    found: str | None = resolve_chat_template(tokenizer, renderer.chat_template, tools, model_config=config)
    return found


def warn_if_missing(name: str, renderer: Any) -> None:
    """One line for the operator of a loaded engine that has no template. renderer: vLLM's OnlineRenderer."""
    if not written_in_code(renderer) and of(renderer) is None:
        log.warning("model %s: %s", name, MISSING)
