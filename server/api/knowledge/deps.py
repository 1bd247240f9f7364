"""Knowledge as a dependency of routes."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from server.api.services import services_of
from server.errors import KnowledgeUnavailable
from server.knowledge.knowledge import Knowledge


async def get_knowledge(connection: HTTPConnection) -> Knowledge:
    """Raises KnowledgeUnavailable on a server that was put together without it."""
    knowledge = services_of(connection).knowledge
    if knowledge is None:
        raise KnowledgeUnavailable
    return knowledge


KnowledgeDep = Annotated[Knowledge, Depends(get_knowledge)]
