"""What InfluxDB's clients and Telegraf send: line protocol on the paths of InfluxDB's versions 1 and 2.

As there, the points of a write that can be taken are taken, and a 400 tells of the others: those who send it throw away
what is answered so, and send again what is answered 429 or 503.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from streamnorm.api import bodies
from streamnorm.api.dependencies import AppState, Caller, Ctx
from streamnorm.api.middleware.authorization import check_streams
from streamnorm.auth.api_keys import ApiKey
from streamnorm.errors import InvalidInput, LimitExceeded
from streamnorm.formats import line_protocol
from streamnorm.formats.line_protocol import PRECISIONS, PointReading, told_by_size

#: described by InfluxDB: the calls, their bodies and the form of their errors are its own
router = APIRouter(include_in_schema=False)

#: as many as somebody reads
TOLD = 10


@router.post("/api/v2/write", status_code=204, response_class=Response)
@router.post("/write", status_code=204, response_class=Response)
async def write(ctx: Ctx, caller: Caller, request: Request, precision: str = "ns") -> Response:
    """Observe points of line protocol; the stream of each is named by its measurement and tags."""
    tick = PRECISIONS.get(precision)
    if tick is None and precision != "auto":
        return refused(f"precision {precision!r} is none of auto, {', '.join(PRECISIONS)}")
    if "learn" in request.query_params:  # answered by nothing, a write that does not learn would be no write
        return refused("a write learns from its points: learn is no parameter of it")
    data = await bodies.raw(request, ctx.max_block_bytes)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return refused(f"the body is not UTF-8: {error}")
    faults = await observe(ctx, caller, text, tick)
    if not faults:
        return Response(status_code=204)
    more = f"; and {len(faults) - TOLD} more" if len(faults) > TOLD else ""
    return refused(f"partial write: {len(faults)} refused: {'; '.join(faults[:TOLD])}{more}")


async def observe(ctx: AppState, caller: ApiKey, text: str, tick: int | None) -> list[str]:
    """Observe what can be observed, in order within each stream, and tell what cannot."""
    groups: dict[str, list[tuple[int, PointReading]]] = {}
    faults: list[str] = []
    for line, point, detail in line_protocol.parsed(text):
        if point is None:
            faults.append(f"line {line}: {detail}")
            continue
        try:
            one = line_protocol.to_reading(point, tick or told_by_size(point.time), ctx.service.limits)
            stream_id = line_protocol.stream_id(point, ctx.line_stream)
        except (InvalidInput, line_protocol.Malformed) as error:
            faults.append(f"line {line}: {error}")
            continue
        if one is not None:
            groups.setdefault(stream_id, []).append((line, one))
    check_streams(caller, groups)
    for told in await asyncio.gather(*(_observed(ctx, *group) for group in groups.items())):
        faults += told
    return faults


async def _observed(ctx: AppState, stream_id: str, group: list[tuple[int, PointReading]]) -> list[str]:
    """Observe one stream's points: all of them, or else those that can be, one by one."""
    try:
        await ctx.service.observe_readings([(stream_id, one) for _, one in group], [""] * len(group))
    except (InvalidInput, LimitExceeded) as error:
        if len(group) == 1:
            return [f"line {group[0][0]}: {error}"]
        return [fault for each in group for fault in await _observed(ctx, stream_id, [each])]
    return []


def refused(message: str) -> Response:
    """Refuse in the words that InfluxDB's clients know."""
    return bodies.encoded({"code": "invalid", "message": message}, 400)
