"""Generated chats, completions and texts, read by vLLM's own renderer and checks: an answer can begin, or it is a 400.

scripts/fuzz sends the same to fake engines.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import orjson
import pytest
from hypothesis import HealthCheck, Phase

from server.api.openai.chat_request import ChatRequest
from server.api.openai.completion_request import CompletionRequest
from server.api.openai.tokenize import TokenizeRequest
from server.api.validation import validate
from server.engines.vllm.engine import VllmEngine
from server.engines.vllm.options import VllmOptions
from server.errors import InvalidRequest
from tests.conformance.expect import INTERNALS
from tests.conformance.likely_requests import chat_bodies, completion_bodies, tokenize_bodies
from tests.engines.vllm.rendering import rendering

pytestmark = pytest.mark.models

COUNT = 100
SEED = 12
HANG = 30.0
KINDS = {
    "chats": (ChatRequest, chat_bodies),
    "completions": (CompletionRequest, completion_bodies),
    "texts": (TokenizeRequest, tokenize_bodies),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    """What `start` sets, without a model's weights and a core process."""
    renderer, processor = rendering()
    made = VllmEngine(VllmOptions(name="chat", path=Path()))
    made._renderer, made._parser = renderer, renderer.parser

    async def tasks() -> tuple[str, ...]:
        return ("generate",)

    made._llm = SimpleNamespace(
        errored=False,
        input_processor=processor,
        get_supported_tasks=tasks,
        tokenizer=renderer.renderer.get_tokenizer(),
        model_config=renderer.model_config,
    )
    yield made
    processor.renderer.shutdown()


@pytest.mark.parametrize("kind", KINDS)
def test_what_vllm_finds_wrong_is_a_refusal(kind: str, engine: VllmEngine) -> None:
    schema, bodies = KINDS[kind]

    async def refusal(body: Any) -> str:
        try:
            job = validate(schema, orjson.loads(body)).job()  # type: ignore[type-var, attr-defined]
            async with asyncio.timeout(HANG):
                await engine.read(job)
        except InvalidRequest as refused:
            return refused.message
        return ""

    with asyncio.Runner() as runner:

        @hypothesis.seed(SEED)
        @hypothesis.settings(
            max_examples=COUNT,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(bodies)
        def one(body: Any) -> None:
            try:
                sent = orjson.dumps(body)
            except orjson.JSONEncodeError:
                return  # half characters, or a number beyond 64 bits, which JSON's reader refuses on its way in
            message = runner.run(refusal(sent))
            assert not [word for word in INTERNALS if word in message], message

        one()
