"""The route that tells what was refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response

from streamnorm.api.dependencies import Caller, Ctx
from streamnorm.api.http.responses import encoded
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.schemas import RefusalList
from streamnorm.errors import Forbidden
from streamnorm.ingest.refusals import Example, Refusals
from streamnorm.logs import printable

router = APIRouter(prefix="/v1", tags=["service"])


@router.get("/refusals", **describe_route(None, RefusalList))
async def list_refusals(ctx: Ctx, caller: Caller) -> Response:
    """List what was refused since this process began, by reason, with the last examples; needs the scope `admin`."""
    if caller.prefix:
        raise Forbidden(f"the key {caller.name!r} is for some streams only, and the refusals are of all")
    found = [*_refused("http", ctx.metrics.refusals)]
    for name, refusals in ctx.bridges.refusals():
        found += _refused(name, refusals)
    return encoded({"refusals": sorted(found, key=lambda each: -each["count"])})


def _refused(source: str, refusals: Refusals) -> Iterator[dict[str, Any]]:
    for (label, reason), count in refusals.counts.items():
        if count:
            last = [_example(each) for each in reversed(refusals.examples.get((label, reason), ()))]
            yield {"source": source, "filter": label, "reason": reason, "count": count, "examples": last}


def _example(each: Example) -> dict[str, Any]:
    return {
        "time": datetime.fromtimestamp(each.time, UTC).isoformat().replace("+00:00", "Z"),
        "detail": printable(each.detail),
        "payload": text_of(each.payload),
    }


def text_of(payload: bytes) -> str:
    r"""Return a payload as text, which may be cut within a character; empty if it is none.

    >>> text_of('{"temp": "warm"}\n°'.encode()[:-1]), text_of(b"\x93NUMPY\x01\x00")
    ('{"temp": "warm"}\\n', '')
    """
    text = payload.decode("utf-8", "replace").removesuffix("\ufffd")
    return "" if "\ufffd" in text or "\0" in text else printable(text)
