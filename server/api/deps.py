"""What routes may ask FastAPI for. Each dependency takes the connection alone: see `require` for why."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from server.api.access import authenticated, keyed
from server.api.request_pipeline import RequestPipeline
from server.api.services import Services, services_of
from server.core import Caller
from server.settings import Settings


async def get_services(connection: HTTPConnection) -> Services:
    return services_of(connection)


async def get_settings(connection: HTTPConnection) -> Settings:
    return services_of(connection).settings


async def get_pipeline(request: Request) -> RequestPipeline:
    return RequestPipeline(services_of(request).pipeline, request, await authenticated(request))


ServicesDep = Annotated[Services, Depends(get_services)]
SettingsDep = Annotated[Settings, Depends(get_settings)]
PipelineDep = Annotated[RequestPipeline, Depends(get_pipeline)]
CallerDep = Annotated[Caller, Depends(authenticated)]
KeyedDep = Annotated[Caller, Depends(keyed)]
"""For what needs a key even where `auth` is off."""
