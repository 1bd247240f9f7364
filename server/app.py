"""The ASGI application: routes, error handlers and the layers that every request passes."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import cache

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute

from server import __version__
from server.api import admin, errors, openapi, ops
from server.api.access import require
from server.api.asksage import own_routers as asksage_own
from server.api.asksage import routers as asksage
from server.api.asksage.dialect import AskSage
from server.api.context import RequestContext
from server.api.dialect import Dialects
from server.api.errors import Guard
from server.api.forwarded import TrustedProxies
from server.api.knowledge import datasets, documents
from server.api.openai import (
    account,
    batches,
    chat,
    completions,
    embeddings,
    files,
    images,
    models,
    moderations,
    rerank,
    speech,
    tokenize,
    transcription,
)
from server.api.openai.dialect import OPENAI
from server.api.openai.responses import route as responses
from server.api.services import Services
from server.api.slow_bodies import SlowBodies
from server.observability import Metrics
from server.observability.tracing import Tracing, tracing_to
from server.pipeline.shutdown import Shutdown
from server.settings import Settings
from server.web import pages

KEYED: tuple[APIRouter, ...] = (
    models.router,
    chat.router,
    completions.router,
    responses.router,
    tokenize.router,
    transcription.router,
    speech.router,
    images.router,
    embeddings.router,
    rerank.router,
    moderations.router,
    files.router,
    batches.router,
    datasets.router,
    documents.router,
)
"""Routers under /v1 that need a key with the scope `inference`."""
OWN: tuple[APIRouter, ...] = (account.router,)
"""Routers under /v1 by which a caller looks at itself."""
PUBLIC: tuple[APIRouter, ...] = (images.public,)
"""Routers under /v1 that need none."""

EXPOSED = (
    "x-request-id",
    "openai-processing-ms",
    "openai-version",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-sagehold-model",
    "x-quality",
    "x-quality-passes",
    "x-quality-reason",
)
"""Headers that a browser lets pages of `cors_origins` read."""


def create_app(settings: Settings, services: Services | None = None, dialects: Dialects | None = None) -> FastAPI:
    """The application over `services`; without them it builds its own, and closes them when it ends.

    dialects: by default OpenAI's and Ask Sage's.
    """
    dialects = dialects or Dialects(OPENAI, AskSage(strict=settings.asksage_strict_status))
    metrics = Metrics() if services is None else services.metrics
    shutdown = Shutdown() if services is None else services.shutdown
    tracing = tracing_to(settings.otlp_endpoint) if services is None else services.tracing
    app = FastAPI(
        title="sagehold",
        version=__version__,
        # The interactive pages would fetch their scripts from a CDN.
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(settings, services, metrics, shutdown, tracing),
        middleware=_layers(settings, metrics, shutdown, tracing),
    )
    if services is not None:
        app.state.services = services
    errors.install(app, dialects)
    app.router.routes.extend(_routes())
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """All routes. They keep nothing of an application, so all that a process makes share them: making them takes 20 ms
    (taken by hand), which an application for each test would pay."""
    served = APIRouter()
    served.include_router(ops.router)
    served.include_router(openapi.router)
    for router in PUBLIC:
        served.include_router(router, prefix="/v1")
    for router in KEYED:
        served.include_router(router, prefix="/v1", dependencies=[Depends(require("inference"))])
    for router in OWN:
        served.include_router(router, prefix="/v1", dependencies=[Depends(require("inference", "usage"))])
    for prefix, routers in asksage.PUBLIC.items():
        for router in routers:
            served.include_router(router, prefix=prefix)
    for prefix, routers in asksage.KEYED.items():
        for router in routers:
            served.include_router(router, prefix=prefix, dependencies=[Depends(require("inference"))])
    served.include_router(admin.router, prefix="/admin/v1", dependencies=[Depends(require("admin"))])
    for scope, by_prefix in (("inference", asksage_own.OWN), ("admin", asksage_own.ADMIN)):
        for prefix, own in by_prefix.items():
            for router in own:
                served.include_router(router, prefix=prefix, dependencies=[Depends(require(scope))])
    # Last: a request is held against one route after the other, at 1 to 2 µs each, and most are for models.
    served.include_router(pages.router)
    # HEAD wherever GET is, with GET's headers; the HTTP server leaves the body out.
    for route in served.routes:
        if isinstance(route, APIRoute) and "GET" in route.methods:
            route.methods.add("HEAD")
    return served.routes


def _layers(settings: Settings, metrics: Metrics, shutdown: Shutdown, tracing: Tracing | None) -> Sequence[Middleware]:
    """Outermost first. What the guard answers still passes CORS and gets its request id."""
    proxies = TrustedProxies(settings.trusted_proxies) if settings.trusted_proxies else None
    layers = [Middleware(RequestContext, metrics=metrics, proxies=proxies, tracing=tracing)]
    if settings.cors_origins:
        layers.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"],
                allow_headers=["*"],  # the SDKs send a family of x-stainless-*
                expose_headers=EXPOSED,
                max_age=3600,
            )
        )
    return [*layers, Middleware(Guard, shutdown=shutdown), Middleware(SlowBodies, timeout=settings.body_timeout)]


def _lifespan(
    settings: Settings, services: Services | None, metrics: Metrics, shutdown: Shutdown, tracing: Tracing | None
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        if services is not None:
            yield
            return
        from server.services import build_services

        async with (
            build_services(settings, metrics=metrics, shutdown=shutdown, tracing=tracing) as built,
            at_work(app, built),
        ):
            yield

    return lifespan


@asynccontextmanager
async def at_work(app: FastAPI, services: Services) -> AsyncGenerator[None, None]:
    """What goes on in the background and asks the application itself, for the length of the block.

    It ends before the services do: what is under way of it is ended, and put back.
    """
    async with AsyncExitStack() as stack:
        if services.open_batches is not None:
            batches = await stack.enter_async_context(services.open_batches(app))
            services = replace(services, batches=batches)
        app.state.services = services
        yield
