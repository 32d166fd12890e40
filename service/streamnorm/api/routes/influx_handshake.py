"""The calls that InfluxDB's clients make before their first write, and the write call of InfluxDB 3.

The responses are those of a server that is up, accepts points, and holds none to query.
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

#: not in the OpenAPI document, like the write calls
router = APIRouter(include_in_schema=False)

HEADERS: Final = {"X-Influxdb-Version": f"streamnorm-{streamnorm.__version__}", "X-Influxdb-Build": "OSS"}
#: A few statements of InfluxQL.
MAX_QUERY_BYTES: Final = 64 * 1024
NOT_QUIET: Final = frozenset({"", "0", "false"})
_STARTED: Final = time.monotonic()


@router.head("/ping", response_class=Response)
@router.get("/ping", response_class=Response)
async def ping(verbose: str = "") -> Response:
    """Answer the ping of InfluxDB 1 clients: 204, or 200 with the version if `verbose`."""
    if verbose in NOT_QUIET:
        return Response(status_code=204, headers=HEADERS)
    return with_version({"version": HEADERS["X-Influxdb-Version"]})


@router.head("/health", response_class=Response)
@router.get("/health", response_class=Response)
async def health(ctx: Ctx) -> Response:
    """Report to InfluxDB 2 and 3 clients whether points can be written."""
    trouble = trouble_of(ctx)
    body: dict[str, object] = {
        "name": "streamnorm",
        "message": trouble or "ready for writes",
        "status": "fail" if trouble else "pass",
        "checks": [],
        "version": streamnorm.__version__,
        "commit": "",
    }
    return with_version(body, 503 if trouble else 200)


@router.head("/ready", response_class=Response)
@router.get("/ready", response_class=Response)
async def ready(ctx: Ctx) -> Response:
    """Report since when points can be written."""
    if trouble := trouble_of(ctx):
        return with_version({"status": "starting", "message": trouble}, 503)
    up = time.monotonic() - _STARTED
    started = datetime.fromtimestamp(time.time() - up, UTC).isoformat().replace("+00:00", "Z")
    return with_version({"status": "ready", "started": started, "up": f"{up:.9f}s"})


@router.get("/query", response_class=Response)
@router.post("/query", response_class=Response)
async def query(request: Request, q: str = "") -> Response:
    """Answer InfluxQL: databases can be created and listed, and there are no points to select."""
    if not q and request.method == "POST":
        body = await read_body(request, MAX_QUERY_BYTES)
        q = parse_qs(body.decode("utf-8", "replace")).get("q", [""])[0]
    statements = [statement.strip() for statement in q.split(";") if statement.strip()]
    if not statements:
        return with_version({"error": 'missing required parameter "q"'}, 400)
    return with_version({"results": [result(number, statement) for number, statement in enumerate(statements)]})


@router.post("/api/v3/write_lp", status_code=204, response_class=Response)
async def write_lp(ctx: Ctx, caller: Caller, request: Request, precision: str = "auto") -> Response:
    """Observe points of an InfluxDB 3 write; by default the precision of each time is inferred from its magnitude."""
    return await influx.write(ctx, caller, request, precision)


def result(number: int, statement: str) -> dict[str, object]:
    """Return the result of the statement with a number."""
    body: dict[str, object] = {"statement_id": number}
    if statement[:6].upper() == "SELECT":
        body["error"] = "no points are kept here: they are normalized, and can be forwarded (--forward)"
    return body


def trouble_of(ctx: AppState) -> str:
    """Return why points cannot be accepted, in words; empty if they can."""
    try:
        ctx.service.streams.check()
    except StreamnormError as error:
        return str(error)
    return "" if ctx.serving else "the service is starting or stopping"


def with_version(body: Mapping[str, object], status: int = 200) -> Response:
    """Build a JSON response with InfluxDB's version headers."""
    response = encoded(body, status)
    response.headers.update(HEADERS)
    return response
