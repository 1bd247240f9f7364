"""For machines that watch this one: is the process up, can it answer, how is it doing. No key needed."""

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from server import __version__
from server.api.answers.operation import Health, Ready, Version
from server.api.deps import ServicesDep
from server.api.openapi import documented

router = APIRouter()

OK, STOPPING = b'{"status":"ok"}', b'{"status":"stopping"}'


@router.get("/health")
@documented(answer=Health)
async def health(services: ServicesDep) -> Response:
    """200 as long as the process answers at all; `status` is `stopping` once its end has begun."""
    return Response(STOPPING if services.shutdown.begun else OK, media_type="application/json")


@router.get("/version")
@documented(answer=Version)
async def version() -> Response:
    """This server's own, where vLLM's shows its own: proxies and load generators ask for it."""
    return Response(orjson.dumps({"version": __version__}), media_type="application/json")


@router.get("/ready")
@documented(answer=Ready)
async def ready(services: ServicesDep) -> Response:
    """200 when every model that is loaded at start is ready; before, and after one failed, 503 and the states.

    503 too while the database or Redis does not answer, which `outages` then names, and with the status `stopping` from
    the moment at which the server is told to end.
    """
    outages, stopping = services.outages(), services.shutdown.begun
    is_ready = services.registry.ready and not outages and not stopping
    body: dict[str, object] = {
        "status": "stopping" if stopping else "ready" if is_ready else "not ready",
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
