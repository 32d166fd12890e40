"""Responses as they are sent: JSON, lines of it, and bodies in several pieces of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Response

from streamnorm.api.http.negotiation import JSON

Piece = bytes | memoryview


class Pieces(Response):
    """An answer in several pieces of memory, sent as they are."""

    def __init__(self, pieces: Sequence[Piece], media: str, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = HTTPStatus.OK
        self.background = None
        self.media_type = media
        self._pieces = pieces
        self.init_headers({"content-length": str(sum(map(len, pieces)))} | dict(headers or {}))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002
        """Send the pieces."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def encoded(data: object, status: int = 200, media: str = JSON) -> Response:
    """Answer with JSON; NaN is null."""
    return Response(dumps(data), status, media_type=media)


def dumps_line(data: object) -> bytes:
    """Write JSON on a line of its own."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def dumps(data: object) -> bytes:
    """Write JSON; NaN is null."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)
