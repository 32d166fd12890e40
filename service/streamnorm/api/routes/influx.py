"""The write calls of InfluxDB 1 and 2: line protocol from InfluxDB's clients and Telegraf.

As in InfluxDB, the valid points of a write are accepted, and a 400 reports the others: clients drop what is answered
400, and retry what is answered 429 or 503.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from streamnorm.api.codecs.bulk import answer_batch, context_of, decode_body
from streamnorm.api.codecs.registry import LINE_PROTOCOL
from streamnorm.api.dependencies import AppState, Caller, Ctx
from streamnorm.api.http.responses import encoded
from streamnorm.formats.line_protocol import PRECISIONS, Malformed

#: not in the OpenAPI document: InfluxDB defines the calls, their bodies and the format of their errors
router = APIRouter(include_in_schema=False)


@router.post("/api/v2/write", status_code=204, response_class=Response)
@router.post("/write", status_code=204, response_class=Response)
async def write(ctx: Ctx, caller: Caller, request: Request, precision: str = "ns") -> Response:
    """Observe points of line protocol; the stream of each is named by its measurement and tags."""
    tick = PRECISIONS.get(precision or "ns")
    if tick is None and precision != "auto":
        return refused(ctx, request, f"precision {precision!r} is none of auto, {', '.join(PRECISIONS)}")
    if "learn" in request.query_params:  # a write returns no values, so one that does not learn would have no effect
        return refused(ctx, request, "a write learns from its points: learn is no parameter of it")
    context = context_of(ctx, caller=caller, template=ctx.line_stream, tick=tick)
    try:
        batch = await decode_body(ctx, request, LINE_PROTOCOL, context, ctx.max_block_bytes)
        return await answer_batch(ctx, batch, LINE_PROTOCOL)
    except Malformed as error:
        return refused(ctx, request, str(error))


def refused(ctx: AppState, request: Request, message: str) -> Response:
    """Count a refused write, the `request`, in `ctx`; build the response, with the `message`, in InfluxDB's format."""
    ctx.metrics.refused(
        "invalid-reading", f"{request.method} {request.url.path}: {message}", request.scope.get("payload")
    )
    return encoded({"code": "invalid", "message": message, "error": message}, 400)  # versions 1 and 3 read `error`
