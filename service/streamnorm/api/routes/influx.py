"""What InfluxDB's clients and Telegraf send: line protocol on the paths of InfluxDB's versions 1 and 2.

As there, the points of a write that can be taken are taken, and a 400 tells of the others: those who send it throw away
what is answered so, and send again what is answered 429 or 503.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from streamnorm.api.codecs.bulk import answer_batch, context_of, decode_body
from streamnorm.api.codecs.line_protocol import refused
from streamnorm.api.codecs.registry import LINE_PROTOCOL
from streamnorm.api.dependencies import Caller, Ctx
from streamnorm.formats.line_protocol import PRECISIONS, Malformed

#: described by InfluxDB: the calls, their bodies and the form of their errors are its own
router = APIRouter(include_in_schema=False)


@router.post("/api/v2/write", status_code=204, response_class=Response)
@router.post("/write", status_code=204, response_class=Response)
async def write(ctx: Ctx, caller: Caller, request: Request, precision: str = "ns") -> Response:
    """Observe points of line protocol; the stream of each is named by its measurement and tags."""
    tick = PRECISIONS.get(precision)
    if tick is None and precision != "auto":
        return refused(f"precision {precision!r} is none of auto, {', '.join(PRECISIONS)}")
    if "learn" in request.query_params:  # answered by nothing, a write that does not learn would be no write
        return refused("a write learns from its points: learn is no parameter of it")
    context = context_of(ctx, caller=caller, template=ctx.line_stream, tick=tick)
    try:
        batch = await decode_body(ctx, request, LINE_PROTOCOL, context, ctx.max_block_bytes)
    except Malformed as error:
        return refused(str(error))
    return await answer_batch(ctx, batch, LINE_PROTOCOL)
