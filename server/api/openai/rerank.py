"""POST /v1/rerank and /v1/score: how well documents answer queries, in the forms that vLLM, Jina and Cohere have.

`method` of the answer says how: `cross-encoder`, by a model that reads query and document at once, from 0 to 1;
`embedding`, by the cosine of their vectors, from -1 to 1. Both answer at the root too,
and under /v2/rerank (server/api/paths.py).
"""

import time
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BeforeValidator, Field

from server.api.answers.embeddings import Ranking, ScoreList
from server.api.body import read_json
from server.api.deps import PipelineDep, ServicesDep
from server.api.lifetime import while_connected
from server.api.openai.embeddings import Truncation
from server.api.openai.extras import extras_of
from server.api.openai.models import visible
from server.api.openai.quality import QualityField, ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.services import Services
from server.api.validation import Body
from server.core import Caller, ScoreJob, Scores, Task
from server.errors import InvalidRequest, ModelNotFound
from server.models.config.spec import EmbedModel
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)

MOST_DOCUMENTS = 2048

SIDES = (("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2"))
"""What vLLM lets a client call the two sides of /score."""


class Document(Body):
    """Jina's and Cohere's form of a document."""

    text: str = Field(min_length=1)


def _listed(texts: Any) -> Any:
    return [texts] if isinstance(texts, str) else texts


Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], BeforeValidator(_listed), Field(min_length=1, max_length=MOST_DOCUMENTS)]


class ScoringRequest(Body):
    """What both forms have of vLLM's fields. `instruction` is for models that are asked in words, which none here is.

    model: the first that scores if there is none, a cross-encoder before others.
    """

    model: str | None = Field(None, min_length=1)
    quality: QualityField = None
    truncate_prompt_tokens: Truncation = None
    truncation_side: Literal["left", "right"] | None = None
    max_tokens_per_query: int = Field(0, ge=0)
    max_tokens_per_doc: int = Field(0, ge=0)
    instruction: Literal[None] = None
    use_activation: Literal[True] | None = None

    def job_of(self, queries: list[str], documents: list[str], names: tuple[str, str]) -> ScoreJob:
        return ScoreJob(
            queries=tuple(queries),
            documents=tuple(documents),
            names=names,
            truncate=self.truncate_prompt_tokens,
            truncation_side=self.truncation_side or "right",
            query_tokens=self.max_tokens_per_query or None,
            document_tokens=self.max_tokens_per_doc or None,
        )


class RerankRequest(ScoringRequest):
    """top_n: how many of the best come back, 0 for all."""

    query: Text
    documents: Annotated[
        list[Text | Document], BeforeValidator(_listed), Field(min_length=1, max_length=MOST_DOCUMENTS)
    ]
    top_n: int = Field(0, ge=0)
    return_documents: bool | None = None

    @property
    def texts(self) -> list[str]:
        return [one if isinstance(one, str) else one.text for one in self.documents]

    def job(self) -> ScoreJob:
        return self.job_of([self.query], self.texts, ("query", "documents"))


class ScoreRequest(ScoringRequest):
    """Two sides, in one of vLLM's namings: one text to all of the other side, or pair by pair."""

    text_1: Texts | None = None
    text_2: Texts | None = None
    queries: Texts | None = None
    documents: Texts | None = None
    items: Texts | None = None
    data_1: Texts | None = None
    data_2: Texts | None = None

    def job(self) -> ScoreJob:
        """Raises InvalidRequest where a side is missing, or the sides don't match."""
        for first, second in SIDES:
            left, right = getattr(self, first), getattr(self, second)
            if left is not None and right is not None:
                break
        else:
            raise self._incomplete()
        if len(left) not in (1, len(right)):
            message = (
                f"'{first}' has {len(left)} texts and '{second}' {len(right)}: send one text for all, or as many of "
                "each."
            )
            raise InvalidRequest(message, param=first)
        return self.job_of(left, right, (first, second))

    def _incomplete(self) -> InvalidRequest:
        """Names the side that is missing, by the naming that the client has begun."""
        missing = "text_1"
        for first, second in SIDES:
            if getattr(self, second) is not None:
                missing = first
            elif getattr(self, first) is not None and missing == "text_1":
                missing = second
        message = f"Missing required parameter: '{missing}'."
        return InvalidRequest(message, param=missing, code="missing_required_parameter")


@router.post("/rerank")
@documented(
    body=RerankRequest,
    inference=True,
    answer=Ranking,
    examples={
        "the best document": {
            "model": "text-embedding-3-small",
            "query": "Which animal is resting?",
            "documents": ["Bread is baked.", "A cat sleeps."],
            "top_n": 1,
        },
    },
)
async def rerank(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """Documents by how well they answer a query, the best first."""
    body = await read_json(request, RerankRequest, limit=services.settings.max_body, task=Task.SCORE)
    model = body.model or _default(services, pipeline.caller)
    ask = ask_of(request, pipeline.caller, model, quality=body.quality)
    async with pipeline.run(ask, body.job()) as run:
        return await while_connected(request, _ranking(run, body, model, ask.id))


@router.post("/score")
@documented(
    body=ScoreRequest,
    inference=True,
    answer=ScoreList,
    examples={
        "one text against two": {
            "model": "text-embedding-3-small",
            "text_1": "Which animal is resting?",
            "text_2": ["Bread is baked.", "A cat sleeps."],
        },
    },
)
async def score(request: Request, pipeline: PipelineDep, services: ServicesDep) -> Response:
    """A score for each pair, in the order of the documents."""
    body = await read_json(request, ScoreRequest, limit=services.settings.max_body, task=Task.SCORE)
    model = body.model or _default(services, pipeline.caller)
    ask = ask_of(request, pipeline.caller, model, quality=body.quality)
    async with pipeline.run(ask, body.job()) as run:
        return await while_connected(request, _scoring(run, model, ask.id))


async def _ranking(run: Run, body: RerankRequest, model: str, number: str) -> Response:
    scores = await _scores(run)
    best = sorted(range(len(scores.values)), key=lambda index: -scores.values[index])
    texts = body.texts
    results = [
        {
            "index": index,
            "relevance_score": scores.values[index],
            # vLLM and Jina send the texts back if nothing is said.
            **({} if body.return_documents is False else {"document": {"text": texts[index]}}),
        }
        for index in best[: body.top_n or None]
    ]
    return _json(run, {"id": f"rerank-{number}", "model": model, "method": scores.method, "results": results})


async def _scoring(run: Run, model: str, number: str) -> Response:
    scores = await _scores(run)
    data = [{"index": index, "object": "score", "score": value} for index, value in enumerate(scores.values)]
    created = int(time.time())
    answer = {"id": f"score-{number}", "object": "list", "created": created, "model": model, "method": scores.method}
    return _json(run, answer | {"data": data})


async def _scores(run: Run) -> Scores:
    found: Scores | None = None
    async for event in run.events():
        if isinstance(event, Scores):
            found = event
    assert found is not None
    return found


def _json(run: Run, answer: dict[str, Any]) -> Response:
    tokens = run.usage.prompt_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, **extras_of(run)}
    return Response(orjson.dumps(answer | {"usage": usage}), headers=run.headers, media_type="application/json")


def _default(services: Services, caller: Caller) -> str:
    """The first public name that scores, one with a cross-encoder before others. Raises ModelNotFound."""
    able = [
        public for public in services.catalog.public_models() if Task.SCORE in public.tasks and visible(public, caller)
    ]
    if not able:
        raise ModelNotFound("There is no model here that scores documents.")

    def reads_pairs(spec: object) -> bool:
        return isinstance(spec, EmbedModel) and spec.cross_encoder

    return next((public for public in able if reads_pairs(public.tasks[Task.SCORE])), able[0]).id
