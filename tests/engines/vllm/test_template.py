"""Chat templates: whether one can be read as transformers will read it, and whether a model seems to have one."""

import json
from pathlib import Path

import pytest

from server.engines.vllm import template

TEMPLATES = Path(__file__).resolve().parents[3] / "model_configs" / "templates"


@pytest.mark.parametrize(
    "text",
    [
        "{% for m in messages %}{{ m.content }}{% if loop.last %}{% break %}{% endif %}{% endfor %}",
        "{% generation %}{{ messages[0].content }}{% endgeneration %}",
        "{{ raise_exception('no') if not messages else tools | tojson(indent=2) }}",
        "plain",
    ],
)
def test_templates_that_transformers_reads(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.jinja").write_text(text)
    assert template.problem(tmp_path / "t.jinja") is None


def test_shipped_templates() -> None:
    files = list(TEMPLATES.glob("*.jinja"))
    assert files
    assert [template.problem(file) for file in files] == [None] * len(files)


def test_a_template_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "t.jinja"
    assert template.problem(file) == "there is no file t.jinja"
    file.write_text("a\n{% if x %}\n{{ y }")
    assert template.problem(file) == "t.jinja, line 3: unexpected '}'"
    file.write_text("{% for m in messages %}")
    assert (template.problem(file) or "").startswith("t.jinja, line 1: Unexpected end of template. ")
    file.write_bytes(b"\xff\xfe")
    assert template.problem(file) == "t.jinja is no UTF-8 text"


def test_where_models_keep_their_template(tmp_path: Path) -> None:
    assert not template.shipped(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"eos_token": "</s>"}))
    assert not template.shipped(tmp_path)
    config.write_text(json.dumps({"chat_template": "{{ messages }}"}))
    assert template.shipped(tmp_path)
    config.write_text(json.dumps({"eos_token": "</s>"}))
    (tmp_path / "chat_template.jinja").touch()
    assert template.shipped(tmp_path)
