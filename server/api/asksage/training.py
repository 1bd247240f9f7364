"""/server/train…: texts and files are put into datasets. An answer waits until they can be found; whoever hangs up
cancels nothing.
"""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from server.api.answers.asksage_users import Trained
from server.api.asksage import body as bodies
from server.api.asksage.dialect import answered
from server.api.body import FORM_OVERHEAD, Upload
from server.api.context import record_of
from server.api.deps import PipelineDep, ServicesDep
from server.api.knowledge.adding import ingest
from server.api.knowledge.deps import KnowledgeDep
from server.api.lifetime import while_connected
from server.api.openai.quality import ask_of
from server.api.openapi import documented
from server.api.plain_route import PlainRoute
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services
from server.api.validation import Body
from server.core import Caller, EmbeddingJob, Embeddings, Task
from server.errors import InvalidRequest, KnowledgeUnavailable, UnreadableDocument
from server.knowledge.knowledge import Knowledge
from server.knowledge.records import Document, Permission
from server.pipeline.run import Run

router = APIRouter(route_class=PlainRoute)

LONGEST_CONTEXT = 1000
"""Characters."""
MOST_TEXTS = 1000
MOST_VECTORS = 100
"""In an answer: a book has thousands."""


class TrainBody(Body):
    """force_dataset: where the content is kept; without it, and with skip_vectordb, it is embedded and kept nowhere."""

    content: str = Field(min_length=1)
    context: str = Field("", max_length=LONGEST_CONTEXT)
    force_dataset: str | None = None
    skip_vectordb: bool = False


class TrainFileBody(Body):
    dataset: str
    context: str = Field("", max_length=LONGEST_CONTEXT)


class TrainArrayBody(TrainFileBody):
    """data: texts. filename: under which they are kept; a made one by default."""

    data: list[str] = Field(min_length=1, max_length=MOST_TEXTS)
    filename: str | None = None


@router.api_route("/train", methods=["GET", "POST"])
@documented(
    body=TrainBody,
    form=TrainBody,
    inference=True,
    answer=Trained,
    examples={"a text": {"content": "Leave is 30 days a year.", "force_dataset": "handbook", "context": "rules"}},
)
async def train(request: Request, pipeline: PipelineDep, services: ServicesDep, knowledge: KnowledgeDep) -> Response:
    """Put a text into a dataset. The answer has its vector."""
    body = (await bodies.read(request, TrainBody, limit=services.settings.max_body, task=Task.EMBEDDING)).body
    caller, name = pipeline.caller, body.force_dataset
    # Before anything is paid.
    dataset = None if name is None else await knowledge.datasets.find(caller, name, Permission.EDIT)
    model = _embedder(services, None if dataset is None else dataset.model)
    if dataset is not None and not body.skip_vectordb:
        data = body.content.encode("utf-8", "replace")
        made = f"text-{hashlib.sha256(data).hexdigest()[:16]}.txt"
        document = await _imported(
            services, knowledge, caller, dataset.full_name, Upload(made, "text/plain", data), body.context
        )
        # That of its beginning, where it is longer than the model reads at once.
        vector: list[float] = next(iter((await knowledge.ingestion.vectors(caller, document.id, 1)).tolist()), [])
        tokens = document.tokens
    else:
        ask = ask_of(request, replace(caller, models=None), model, quality=None)
        async with pipeline.run(ask, EmbeddingJob(inputs=(body.content,), truncate=-1)) as run:
            vector = await while_connected(request, _vector(run))
            tokens = run.usage.prompt_tokens
    await _note(request, knowledge, pipeline, model, body.content, tokens)
    said = (
        f"Ingesting the following content: {body.content} \nThank you, I have learned this content ({tokens} tokens)."
    )
    return answered({"embedding": vector, "response": said, "status": 200})


@router.post("/train-with-file")
@documented(form=TrainFileBody, files={"file": True}, inference=True, answer=Trained)
async def train_with_file(
    request: Request, pipeline: PipelineDep, services: ServicesDep, knowledge: KnowledgeDep
) -> Response:
    """Put a file into a dataset, in place of one of its name. `embedding` has the vectors of its first parts."""
    received = await bodies.read(
        request,
        TrainFileBody,
        limit=FORM_OVERHEAD,
        file_limit=services.settings.max_document,
        task=Task.EMBEDDING,
    )
    if len(received.files) != 1:
        raise InvalidRequest("One file is taken, as the part `file`.", param="file")
    body = received.body
    file = received.files[0]
    document = await _imported(services, knowledge, pipeline.caller, body.dataset, file, body.context)
    return await _answer(knowledge, pipeline.caller, document)


@router.api_route("/train-with-array", methods=["GET", "POST"])
@documented(
    body=TrainArrayBody,
    form=TrainArrayBody,
    inference=True,
    answer=Trained,
    examples={"two texts": {"dataset": "handbook", "data": ["Leave is 30 days.", "Work begins at 9."]}},
)
async def train_with_array(
    request: Request, pipeline: PipelineDep, services: ServicesDep, knowledge: KnowledgeDep
) -> Response:
    """Put texts into a dataset, as one document of a paragraph each."""
    body = (await bodies.read(request, TrainArrayBody, limit=services.settings.max_body, task=Task.EMBEDDING)).body
    data = "\n\n".join(body.data).encode("utf-8", "replace")
    name = body.filename or f"texts-{hashlib.sha256(data).hexdigest()[:16]}.txt"
    file = Upload(name, "text/plain", data)
    document = await _imported(services, knowledge, pipeline.caller, body.dataset, file, body.context)
    return await _answer(knowledge, pipeline.caller, document)


async def _answer(knowledge: Knowledge, caller: Caller, document: Document) -> Response:
    vectors = await knowledge.ingestion.vectors(caller, document.id, MOST_VECTORS)
    return answered(
        {
            "embedding": vectors.tolist(),
            "response": "Successfully imported",
            "status": 200,
            "document": _facts(document),
        }
    )


async def _imported(
    services: Services, knowledge: Knowledge, caller: Caller, dataset: str, file: Upload, context: str
) -> Document:
    """Raises what `ingest` does."""
    try:
        return await ingest(services, knowledge, caller, dataset, file, context)
    except UnreadableDocument as error:
        raise UnreadableDocument(error.message, param="file") from error


async def _vector(run: Run) -> list[float]:
    vector: list[float] = []
    async for event in run.events():
        if isinstance(event, Embeddings):
            vector = np.frombuffer(event.data, "<f4").tolist()
    return vector


async def _note(
    request: Request, knowledge: Knowledge, pipeline: RequestPipeline, model: str, content: str, tokens: int
) -> None:
    await knowledge.users.asked(
        pipeline.caller,
        ip=record_of(request.scope).client,
        model=model,
        prompt=content,
        completion="",
        prompt_tokens=tokens,
        completion_tokens=0,
        teach=1,
    )


def _embedder(services: Services, own_name: str | None) -> str:
    """The public name of a dataset's embedding model, or of the one for new datasets. Raises KnowledgeUnavailable."""
    having = [
        (one.id, one.tasks[Task.EMBEDDING].name)
        for one in services.catalog.public_models()
        if Task.EMBEDDING in one.tasks
    ]
    wanted = own_name or services.settings.embedding_model
    for public, own in having:
        if wanted is None or wanted in ((own,) if own_name else (own, public)):
            return public
    raise KnowledgeUnavailable("The embedding model is not served here.")


def _facts(document: Document) -> dict[str, Any]:
    return {"id": document.id, "filename": document.filename, "chunks": document.chunks, "tokens": document.tokens}
