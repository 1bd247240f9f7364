"""For machines that watch this one: is the process up, can it answer, how is it doing. No key needed."""

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from server import __version__
from server.api.answers.operation import Health, Ready, Version
from server.api.deps import ServicesDep
from server.api.openapi import documented

router = APIRouter()


@router.api_route("/health", methods=["GET", "HEAD"])
@documented(answer=Health)
async def health() -> Response:
    """200 as long as the process answers at all."""
    return Response(b'{"status":"ok"}', media_type="application/json")


@router.api_route("/version", methods=["GET", "HEAD"])
@documented(answer=Version)
async def version() -> Response:
    """This server's own, where vLLM's shows its own: proxies and load generators ask for it."""
    return Response(orjson.dumps({"version": __version__}), media_type="application/json")


@router.api_route("/ready", methods=["GET", "HEAD"])
@documented(answer=Ready)
async def ready(services: ServicesDep) -> Response:
    """200 when every model that is loaded at start is ready; before, and after one failed, 503 and the states.

    503 too while the database or Redis does not answer; `outages` then names it.
    """
    outages = services.outages()
    is_ready = services.registry.ready and not outages
    body: dict[str, object] = {
        "status": "ready" if is_ready else "not ready",
        "models": {name: model.state for name, model in services.registry.states().items()},
    }
    if outages:
        body["outages"] = outages
    headers = None if is_ready else {"Retry-After": "5"}
    return Response(orjson.dumps(body), 200 if is_ready else 503, headers, "application/json")


@router.get("/metrics")
@documented(media=("text/plain",))
async def metrics(services: ServicesDep) -> Response:
    """The Prometheus exposition."""
    body, content_type = services.metrics.render()
    return Response(body, headers={"content-type": content_type})
