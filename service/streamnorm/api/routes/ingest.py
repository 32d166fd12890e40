"""What devices send as they send it: a mapping, or a preset, makes readings of it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from streamnorm.api.codecs.bulk import answer_batch
from streamnorm.api.codecs.devices.mapped import decode_mapped
from streamnorm.api.codecs.devices.remote_write import LATER_VERSION, SNAPPY
from streamnorm.api.codecs.registry import OF_MANY, REMOTE_WRITE
from streamnorm.api.dependencies import Caller, Ctx
from streamnorm.api.http.body import IDENTITY, in_thread_if_large, read_body
from streamnorm.api.http.negotiation import JSON, content_type
from streamnorm.api.http.problems import HTTPProblem
from streamnorm.api.openapi.document import describe_route
from streamnorm.api.routes.readings import PROBLEMS, Learn
from streamnorm.api.schemas import ReadingsAnswer
from streamnorm.mappings import Message

router = APIRouter(prefix="/v1", tags=["readings"])

#: the query's parameter that stands for the topic by which a message came
TOPIC = "topic"
#: headers of CloudEvents in binary mode
EVENT_HEADERS = "ce-"
DESCRIBED: dict[str, Any] = describe_route(
    None,
    ReadingsAnswer,
    "mapping-not-found",
    "malformed-gzip",
    "request-timeout",
    "body-too-large",
    "unsupported-media-type",
    *PROBLEMS,
)
DESCRIBED["openapi_extra"]["requestBody"] = {
    "required": True,
    "content": {JSON: {"schema": {}, "example": {"serialno": "ecda3b1eaaaf", "rco2": 447, "atmp": 25.9}}},
}
DESCRIBED["responses"][204] = {"description": "taken: Prometheus's remote write is answered by nothing"}


@router.post("/ingest/{mapping}", **DESCRIBED)
async def ingest(
    ctx: Ctx,
    caller: Caller,
    request: Request,
    mapping: Annotated[str, Path(description="name of a mapping, or of a preset", examples=["airgradient"])],
    *,
    learn: Learn = True,
) -> Response:
    """Observe what a device sends, as it sends it: JSON, a form, text, or what else the mapping takes.

    The query's `topic` stands for the topic of a message; other parameters fill the names in the mapping's `stream`. A
    message is observed as a whole or not at all; but of Prometheus's remote write what is valid is, and 204 answers it.
    """
    found = ctx.mappings.find(mapping)
    variables = {name: value for name, value in request.headers.items() if name.startswith(EVENT_HEADERS)}
    variables |= request.query_params
    is_write = found.format == "remote-write"
    if is_write and LATER_VERSION in request.headers.get("content-type", ""):
        raise HTTPProblem("unsupported-media-type", "the body is of remote write 2.0; this call takes 1.0")
    body = bytes(await read_body(request, ctx.max_block_bytes, packed=SNAPPY if is_write else IDENTITY))
    message = Message(body, variables.pop(TOPIC, ""), variables, content_type(request))
    limits = ctx.service.limits
    if is_write and learn:
        written = await asyncio.to_thread(REMOTE_WRITE.decode, found, message, limits, caller)
        written = await written.observe(ctx.service, learn=True)
        found.heard.note(message.topic, written.columns.stream_ids)
        return REMOTE_WRITE.encode(written)
    batch = await in_thread_if_large(len(body), lambda: decode_mapped(found, message, limits, caller))
    answer = await answer_batch(ctx, batch, OF_MANY[JSON], learn=learn)
    found.heard.note(message.topic, batch.columns.stream_ids)
    return answer
