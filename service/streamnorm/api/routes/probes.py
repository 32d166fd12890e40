"""The routes about the service itself: liveness, readiness, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from streamnorm.api.dependencies import Ctx
from streamnorm.api.http.responses import encoded
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.schemas import Health, Readiness
from streamnorm.errors import StoreUnavailable

router = APIRouter(tags=["service"])


# Some monitoring tools probe with HEAD.
@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", **describe_route(None, Health, guarded=False))
async def healthz() -> Response:
    """Report that the process is alive."""
    return encoded({"status": "ok"})


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz", **describe_route(None, Readiness, "store-unavailable", "not-ready", "bridge-unavailable", guarded=False)
)
async def readyz(ctx: Ctx) -> Response:
    """Report whether readings can be accepted and persisted, and the state of the bridges."""
    if not ctx.serving:
        raise StoreUnavailable("the service is starting or stopping")
    for check in (ctx.service.streams.check, *ctx.checks):
        check()
    ctx.bridges.check()
    states = ctx.bridges.states()
    return encoded({"status": "ok"} | ({"bridges": states} if states else {}))


TEXT = {"type": "string"}
METRICS = "# HELP streamnorm_readings_total Readings observed.\n# TYPE streamnorm_readings_total counter\n"
METRICS += "streamnorm_readings_total 1234.0\n"


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Done", "content": {"text/plain": {"schema": TEXT, "example": METRICS}}}},
)
async def metrics(ctx: Ctx) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(ctx.metrics.text(), media_type=CONTENT_TYPE_LATEST)
