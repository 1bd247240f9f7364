"""The starter chat model's renderer and vLLM's input processor without its engine, set up as ours does it."""

import os
from pathlib import Path
from typing import Any

from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.settings import load_settings

TEMPLATE = Path(__file__).resolve().parents[3] / "model_configs" / "templates" / "smollm2-tools.jinja"


def rendering(path: Path | None = None) -> tuple[Any, Any]:
    """The renderer and the processor; `processor.renderer.shutdown()` ends the threads of both.

    path: of another model, which brings its template and needs no weights.
    """
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.renderers.chat_utils import load_chat_template
    from vllm.renderers.online_renderer import OnlineRenderer
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.input_processor import InputProcessor

    template = TEMPLATE if path is None else None
    path = path or load_settings().models_dir.resolve() / "smollm2-135m-instruct"
    assert path.is_dir(), "scripts/models brings the starter models"
    engine = VllmEngine(VllmOptions(name="chat", path=path, tool_parser="hermes"))
    config = AsyncEngineArgs(**engine.arguments()).create_engine_config(UsageContext.OPENAI_API_SERVER)
    processor = InputProcessor(config)
    renderer = OnlineRenderer(
        model_config=config.model_config,
        renderer=processor.renderer,
        request_logger=None,
        chat_template=load_chat_template(template) if template else None,
        chat_template_content_format="auto",
        enable_auto_tools=True,
        tool_parser="hermes",
    )
    return renderer, processor
