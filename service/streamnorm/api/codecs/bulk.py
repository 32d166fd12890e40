"""Many readings in, whatever their form, and their answers out: the one way that all calls of them take.

What was sent decides how the readings are observed; what was asked for, only how the answer is written. All that takes
long happens in other threads, in steps that let others have their turn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from fastapi import Request, Response

from streamnorm.api.codecs.codec import Batch, DecodeContext, ReadingCodec
from streamnorm.api.codecs.npz import received
from streamnorm.api.codecs.registry import Codecs
from streamnorm.api.dependencies import AppState
from streamnorm.api.http.body import in_thread_if_large, read_body
from streamnorm.api.http.negotiation import NDJSON, accepted, media_type


class Forms(NamedTuple):
    """What a body has come in, and what its answer is to be given in."""

    sent: ReadingCodec
    wanted: ReadingCodec


def negotiate(request: Request, codecs: Codecs, *only: str) -> Forms:
    """Find the form that was sent, and the one to answer in: the one asked for, by default the one sent.

    `only` are the forms that count, if not all do.

    Raises:
        Refused: the call does not take what was sent, or does not give what was asked for.

    """
    sent = codecs[media_type(request, *(only or codecs))]
    if not sent.general and not sent.binary:
        return Forms(sent, sent)
    offered = [sent.media_type]
    if sent.general:
        offered = list(only) or [media for media, codec in codecs.items() if codec.general]
    return Forms(sent, codecs[accepted(request, sent.media_type, *offered, to=sent.media_type)])


def context_of(ctx: AppState, **told: Any) -> DecodeContext:
    """Return what the service, and a call, tell the codec of a body."""
    return DecodeContext(ctx.service.limits, ctx.service.clock(), ctx.max_reading_bytes, **told)


async def decode_body(
    ctx: AppState, request: Request, codec: ReadingCodec, context: DecodeContext, limit: int
) -> Batch:
    """Read a body of at most `limit` bytes and decode it, in another thread where it is large.

    Raises:
        StreamnormError, Refused: what is wrong, and where.

    """
    binary = codec.binary
    data = await (received(request, ctx.max_binary_bytes) if binary else read_body(request, limit))
    context = replace(context, now=ctx.service.clock())
    return await in_thread_if_large(len(data), lambda: codec.decode(data, context))


async def observe_body(
    ctx: AppState,
    request: Request,
    codecs: Codecs,
    context: DecodeContext,
    *,
    learn: bool = True,
    limit: int | None = None,
) -> Response:
    """Answer a body of many readings: read, observe and answer it, as a whole or not at all."""
    forms = negotiate(request, codecs)
    most = ctx.max_block_bytes if limit is None else limit
    batch = await decode_body(ctx, request, forms.sent, context, most)
    wanted = forms.wanted
    if wanted.media_type != NDJSON and forms.sent.media_type == NDJSON and context.stream_id and not batch.is_table:
        wanted = codecs[accepted(request, NDJSON, NDJSON, to="readings that make no table")]
    return await answer_batch(ctx, batch, wanted, learn=learn)


async def answer_batch(ctx: AppState, batch: Batch, wanted: ReadingCodec, *, learn: bool = True) -> Response:
    """Observe readings, and write their answers."""
    answered = await batch.observe(ctx.service, learn=learn)
    return await in_thread_if_large(answered.bytes, lambda: wanted.encode(answered))
