"""POST /v1/embeddings: vectors of texts, as floats or in base64.

The Python and Node clients ask for base64 where their caller says nothing, and .NET's reads nothing else: little-endian
float32. Token ids are those of cl100k_base, as LangChain sends them; see server/engines/cl100k.py.
"""

import base64
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BeforeValidator, Field

from server.api.answers.embeddings import EmbeddingList
from server.api.body import read_json
from server.api.deps import PipelineDep, SettingsDep
from server.api.lifetime import while_connected
from server.api.openai.extras import extras_of
from server.api.openai.quality import QualityField, ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.validation import Body
from server.core import EmbeddingJob, Embeddings, Task
from server.errors import InvalidRequest
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)

MOST_INPUTS = 2048
"""By the OpenAI API."""

FLOAT = 4
"""Bytes."""


def _truncation(tokens: Any) -> Any:
    if isinstance(tokens, int) and tokens == 0:
        raise ValueError("expected a number of tokens, or -1 for as many as the model reads at once")
    return tokens


Truncation = Annotated[int | None, BeforeValidator(_truncation), Field(ge=-1)]
"""vLLM's `truncate_prompt_tokens`."""


class EmbeddingRequest(Body):
    """The OpenAI API's fields, and of vLLM's those that say what is read of a long text.

    `user` changes nothing. Vectors are float32, little-endian and have length 1 if the model normalizes them; fields of
    vLLM's that want others are refused.
    """

    model: str = Field(min_length=1)
    input: Any = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)
    truncate_prompt_tokens: Truncation = None
    truncation_side: Literal["left", "right"] | None = None
    quality: QualityField = None
    embed_dtype: Literal["float32"] = "float32"
    endianness: Literal["native", "little"] = "little"
    add_special_tokens: Literal[True] = True
    use_activation: Literal[True] | None = None
    messages: Literal[None] = None

    def job(self) -> EmbeddingJob:
        """Raises InvalidRequest for inputs that are none."""
        return EmbeddingJob(
            inputs=_inputs(self.input),
            dimensions=self.dimensions,
            truncate=self.truncate_prompt_tokens,
            truncation_side=self.truncation_side or "right",
        )


@router.post("/embeddings")
@documented(
    body=EmbeddingRequest,
    inference=True,
    answer=EmbeddingList,
    examples={
        "vectors of two texts": {"model": "text-embedding-3-small", "input": ["A cat sleeps.", "Bread is baked."]},
        "as the SDKs ask for it": {
            "model": "text-embedding-3-small",
            "input": "A cat sleeps.",
            "encoding_format": "base64",
        },
    },
)
async def embed(request: Request, pipeline: PipelineDep, settings: SettingsDep) -> Response:
    """A vector for each input."""
    body = await read_json(request, EmbeddingRequest, limit=settings.max_body, task=Task.EMBEDDING)
    ask = ask_of(request, pipeline.caller, body.model, quality=body.quality)
    async with pipeline.run(ask, body.job()) as run:
        return await while_connected(request, _answer(run, body))


async def _answer(run: Run, body: EmbeddingRequest) -> Response:
    data: list[dict[str, Any]] = []
    async for event in run.events():
        if isinstance(event, Embeddings):
            data = _data(event, body.encoding_format)
    tokens = run.usage.prompt_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, **extras_of(run)}
    answer = {"object": "list", "data": data, "model": body.model, "usage": usage}
    # orjson writes an array of float32 in as few digits as read back as the same float32.
    content = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(content, headers=run.headers, media_type="application/json")


def _data(made: Embeddings, form: str) -> list[dict[str, Any]]:
    size = made.dimensions * FLOAT
    rows = [made.data[start : start + size] for start in range(0, len(made.data), size)]
    return [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(row).decode() if form == "base64" else np.frombuffer(row, "<f4"),
        }
        for index, row in enumerate(rows)
    ]


# ---------------------------------------------------------------- the input's four forms


def _inputs(given: Any) -> tuple[str | tuple[int, ...], ...]:
    """A text, texts, a text's token ids, or several texts' token ids. Raises InvalidRequest."""
    if given is None:
        raise InvalidRequest("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    if isinstance(given, str):
        return (_text(given, "input"),)
    if not isinstance(given, list):
        raise _wrong("input", "a string, an array of strings, or an array of token ids")
    if not given:
        raise InvalidRequest("Invalid value for 'input': expected at least one text.", param="input")
    if _is_id(given[0]):
        return (_ids(given, "input"),)
    if len(given) > MOST_INPUTS:
        message = f"Invalid value for 'input': at most {MOST_INPUTS} texts may be sent at once; these are {len(given)}."
        raise InvalidRequest(message, param="input")
    read = _text if isinstance(given[0], str) else _ids
    return tuple(read(one, f"input[{place}]") for place, one in enumerate(given))


def _text(given: Any, param: str) -> str:
    if not isinstance(given, str):
        raise _wrong(param, "a string, as the others are")
    if not given:
        raise InvalidRequest(f"Invalid value for '{param}': the text is empty.", param=param)
    return given


def _ids(given: Any, param: str) -> tuple[int, ...]:
    if not isinstance(given, list):
        raise _wrong(param, "a string or an array of token ids, as the others are")
    if not given:
        raise InvalidRequest(f"Invalid value for '{param}': there is no token id.", param=param)
    if not all(map(_is_id, given)):
        raise _wrong(param, "token ids, which are integers")
    return tuple(given)


def _is_id(value: Any) -> bool:
    return type(value) is int


def _wrong(param: str, expected: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")
