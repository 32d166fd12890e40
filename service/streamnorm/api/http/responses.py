"""Responses: JSON, NDJSON, and bodies that consist of several buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import Response

from streamnorm.api.http.negotiation import JSON

Piece = bytes | memoryview


class Pieces(Response):
    """A response in several buffers (`pieces`) of a `media` type, sent without copying; `headers` are added."""

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
    """Build a response with `data` as JSON (NaN becomes null), a `status` and a `media` type."""
    return Response(dumps(data), status, media_type=media)


def dumps_line(data: object) -> bytes:
    """Encode JSON with a newline at its end; NaN becomes null."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def dumps(data: object) -> bytes:
    """Encode JSON; NaN becomes null."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY)
