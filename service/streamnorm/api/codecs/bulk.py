"""Bulk requests: content negotiation, decoding, observing and encoding, shared by all routes that take many readings.

The request's media type decides how readings are observed; the requested media type only how answers are written. Long
work runs in other threads, in slices that release the interpreter's lock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from fastapi import Request, Response

from streamnorm.api.codecs.arrays.npz import received
from streamnorm.api.codecs.codec import Batch, DecodeContext, ReadingCodec
from streamnorm.api.codecs.registry import Codecs
from streamnorm.api.dependencies import AppState
from streamnorm.api.http.body import in_thread_if_large, read_body
from streamnorm.api.http.negotiation import NDJSON, accepted, media_type


class Forms(NamedTuple):
    """The codecs of a request body and of its response."""

    sent: ReadingCodec
    wanted: ReadingCodec


def negotiate(request: Request, codecs: Codecs, *only: str) -> Forms:
    """Choose the codec of the request body, and that of the response: the accepted one, by default the same.

    `codecs` are those of the route, by media type; `only` restricts them to some media types.

    Raises:
        HTTPProblem: the `request` has an unsupported media type (415), or accepts none that is offered (406).

    """
    sent = codecs[media_type(request, *(only or codecs))]
    if not sent.general and not sent.binary:
        return Forms(sent, sent)
    offered = [sent.media_type]
    if sent.general:
        offered = list(only) or [media for media, codec in codecs.items() if codec.general]
    return Forms(sent, codecs[accepted(request, sent.media_type, *offered, to=sent.media_type)])


def context_of(ctx: AppState, **options: Any) -> DecodeContext:
    """Build the decoding context from the service's limits and a request's options."""
    return DecodeContext(ctx.service.limits, ctx.service.clock(), ctx.max_reading_bytes, **options)


async def decode_body(
    ctx: AppState, request: Request, codec: ReadingCodec, context: DecodeContext, limit: int
) -> Batch:
    """Read the body of a `request`, at most `limit` bytes, and decode it with `codec`, in a thread if it is large.

    `ctx` gives the limit of binary bodies, and the time that replaces that of `context`.

    Raises:
        StreamnormError, HTTPProblem: the body is invalid; the error names the place.

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
    """Handle a bulk `request` atomically: negotiate one of `codecs`, decode, observe, encode.

    `context` configures the codec. Without `learn` the readings are only normalized. The body has at most `limit`
    bytes, by default those of the settings in `ctx`.
    """
    forms = negotiate(request, codecs)
    most = ctx.max_block_bytes if limit is None else limit
    batch = await decode_body(ctx, request, forms.sent, context, most)
    wanted = forms.wanted
    if wanted.media_type != NDJSON and forms.sent.media_type == NDJSON and context.stream_id and not batch.is_table:
        wanted = codecs[accepted(request, NDJSON, NDJSON, to="readings that make no table")]
    return await answer_batch(ctx, batch, wanted, learn=learn)


async def answer_batch(ctx: AppState, batch: Batch, wanted: ReadingCodec, *, learn: bool = True) -> Response:
    """Observe a `batch` with the service of `ctx` (without `learn`: normalize it); encode the answers as `wanted`."""
    answered = await batch.observe(ctx.service, learn=learn)
    return await in_thread_if_large(answered.bytes, lambda: wanted.encode(answered))
