"""Write coalescing for WebSockets: the messages of one iteration of the event loop are sent by one system call.

For a short message the system call takes longer than all other work.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

import orjson
from websockets.datastructures import Headers
from websockets.http11 import Response

from streamnorm.api.http import problems
from streamnorm.compat.uvicorn import WebSocketProtocol

#: Bytes after which the buffer is written immediately: about uvloop's high-water mark.
MAX_COALESCED_BYTES = 64 * 1024


class CoalescingTransport:
    """A transport that coalesces writes, and delegates everything else to `transport`."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        """Delegate to the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Buffer data until the end of this iteration of the event loop."""
        if not self._gathered:
            self._loop.call_soon(self.flush)
        self._gathered.append(data)
        self._size += len(data)
        if self._size > MAX_COALESCED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the buffered data."""
        if self._gathered and not self._transport.is_closing():
            self._transport.write(b"".join(self._gathered))
        self._gathered.clear()
        self._size = 0

    def close(self) -> None:
        """Write the buffered data, and close."""
        self.flush()
        self._transport.close()


class WebSockets(WebSocketProtocol):
    """A WebSocket connection on a coalescing transport."""

    def wrap(self, transport: asyncio.BaseTransport, loop: asyncio.AbstractEventLoop) -> asyncio.Transport:
        """Coalesce what is written to the `transport` of the `loop`."""
        return cast("asyncio.Transport", CoalescingTransport(cast("asyncio.Transport", transport), loop))

    def refuse(self, status: int, text: str) -> Response:
        """Refuse a handshake with a problem of a `status` and a `text`, where `websockets` would with plain text."""
        kind = problems.of_status(HTTPStatus(status))
        body = orjson.dumps(problems.problem(kind, text.strip()))
        headers = Headers(
            {"Connection": "close", "Content-Length": str(len(body)), "Content-Type": problems.MEDIA_TYPE}
        )
        return Response(kind.status, kind.title, headers, body)
