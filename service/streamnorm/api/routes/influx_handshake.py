"""What clients of InfluxDB ask before they send the first point, and the write of version 3.

The answers are those of a server that is there, takes points, and holds none that could be queried.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

import streamnorm
from streamnorm.api.dependencies import AppState, Caller, Ctx
from streamnorm.api.http.body import read_body
from streamnorm.api.http.responses import encoded
from streamnorm.api.routes import influx
from streamnorm.errors import StreamnormError

#: described by InfluxDB, like the calls that write
router = APIRouter(include_in_schema=False)

HEADERS: Final = {"X-Influxdb-Version": f"streamnorm-{streamnorm.__version__}", "X-Influxdb-Build": "OSS"}
#: A few statements of InfluxQL.
MAX_QUERY_BYTES: Final = 64 * 1024
NOT_QUIET: Final = frozenset({"", "0", "false"})
_STARTED: Final = time.monotonic()


@router.head("/ping", response_class=Response)
@router.get("/ping", response_class=Response)
async def ping(verbose: str = "") -> Response:
    """Tell clients of InfluxDB 1 that somebody is here: 204, or 200 where they want words."""
    if verbose in NOT_QUIET:
        return Response(status_code=204, headers=HEADERS)
    return with_version({"version": HEADERS["X-Influxdb-Version"]})


@router.head("/health", response_class=Response)
@router.get("/health", response_class=Response)
async def health(ctx: Ctx) -> Response:
    """Tell clients of InfluxDB 2 and 3 whether points can be written."""
    trouble = trouble_of(ctx)
    told: dict[str, object] = {
        "name": "streamnorm",
        "message": trouble or "ready for writes",
        "status": "fail" if trouble else "pass",
        "checks": [],
        "version": streamnorm.__version__,
        "commit": "",
    }
    return with_version(told, 503 if trouble else 200)


@router.head("/ready", response_class=Response)
@router.get("/ready", response_class=Response)
async def ready(ctx: Ctx) -> Response:
    """Tell since when points can be written."""
    if trouble := trouble_of(ctx):
        return with_version({"status": "starting", "message": trouble}, 503)
    up = time.monotonic() - _STARTED
    started = datetime.fromtimestamp(time.time() - up, UTC).isoformat().replace("+00:00", "Z")
    return with_version({"status": "ready", "started": started, "up": f"{up:.9f}s"})


@router.get("/query", response_class=Response)
@router.post("/query", response_class=Response)
async def query(request: Request, q: str = "") -> Response:
    """Answer InfluxQL: databases may be created and shown, and there are no points to select."""
    if not q and request.method == "POST":
        body = await read_body(request, MAX_QUERY_BYTES)
        q = parse_qs(body.decode("utf-8", "replace")).get("q", [""])[0]
    statements = [each.strip() for each in q.split(";") if each.strip()]
    if not statements:
        return with_version({"error": 'missing required parameter "q"'}, 400)
    return with_version({"results": [result(place, each) for place, each in enumerate(statements)]})


@router.post("/api/v3/write_lp", status_code=204, response_class=Response)
async def write_lp(ctx: Ctx, caller: Caller, request: Request, precision: str = "auto") -> Response:
    """Observe points as InfluxDB 3 takes them: what a time is in is told by its size, where nothing else is said."""
    return await influx.write(ctx, caller, request, precision)


def result(place: int, statement: str) -> dict[str, object]:
    """Return the result of one statement."""
    found: dict[str, object] = {"statement_id": place}
    if statement[:6].upper() == "SELECT":
        found["error"] = "no points are kept here: they are normalized, and can be forwarded (--forward)"
    return found


def trouble_of(ctx: AppState) -> str:
    """Return what keeps points from being taken, in words."""
    try:
        ctx.service.streams.check()
    except StreamnormError as error:
        return str(error)
    return "" if ctx.serving else "the service is starting or stopping"


def with_version(told: Mapping[str, object], status: int = 200) -> Response:
    """Answer as InfluxDB does."""
    response = encoded(told, status)
    response.headers.update(HEADERS)
    return response
