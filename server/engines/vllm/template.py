"""Chat templates: whether one can be read, and whether a model has one. No vLLM in it but for a loaded engine's."""

import json
import logging
from pathlib import Path
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
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


def problem(file: Path) -> str | None:
    """Why `file` can't be a chat template, by the grammar that transformers compiles them with."""
    if not file.is_file():
        return f"there is no file {file.name}"
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"]
    )
    try:
        environment.parse(file.read_text(encoding="utf-8"))
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


def warn_if_missing(name: str, renderer: Any) -> None:
    """One line for the operator of a loaded engine that has no template. renderer: vLLM's OnlineRenderer."""
    from vllm.renderers.hf import HfRenderer, resolve_chat_template

    if not isinstance(renderer.renderer, HfRenderer):
        return  # the others have their way of writing chats in code
    tokenizer, config = renderer.renderer.get_tokenizer(), renderer.model_config
    if resolve_chat_template(tokenizer, renderer.chat_template, None, model_config=config) is None:
        log.warning("model %s: %s", name, MISSING)
