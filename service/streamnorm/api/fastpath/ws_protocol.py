"""WebSockets whose messages leave together: what is said in one turn of the event loop is written at its end, at once.

A write is a call to the operating system, which takes a short message longer than all else that becomes of it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, cast

import orjson
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.http11 import Response

from streamnorm.api.http import problems

#: Bytes that are not gathered further: about what uvloop buffers before it asks to pause.
MAX_COALESCED_BYTES = 64 * 1024
UNREADABLE = "the handshake of the WebSocket cannot be read"


def refuse(status: HTTPStatus | int, text: str) -> Response:
    """Refuse a handshake with a problem, where `websockets` would with plain text."""
    kind = problems.of_status(HTTPStatus(status))
    body = orjson.dumps(problems.problem(kind, text.strip()))
    headers = Headers({"Connection": "close", "Content-Length": str(len(body)), "Content-Type": problems.MEDIA_TYPE})
    return Response(kind.status, kind.title, headers, body)


class CoalescingTransport:
    """A transport that gathers what is written, and is `transport` in all else."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._gathered: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        """Be the transport."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write at the end of this turn."""
        if not self._gathered:
            self._loop.call_soon(self.flush)
        self._gathered.append(data)
        self._size += len(data)
        if self._size > MAX_COALESCED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered and not self._transport.is_closing():
            self._transport.write(b"".join(self._gathered))
        self._gathered.clear()
        self._size = 0

    def close(self) -> None:
        """Write what was gathered, and close."""
        self.flush()
        self._transport.close()


class WebSockets(WebSocketsSansIOProtocol):
    """uvicorn's protocol, on such a transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.conn.reject = refuse  # type: ignore[method-assign] # uvicorn builds `conn` itself
        super().connection_made(
            cast("asyncio.Transport", CoalescingTransport(cast("asyncio.Transport", transport), self.loop))
        )

    def data_received(self, data: bytes) -> None:
        """Take data in; uvicorn waits for ever where what parses the handshake has given it up."""
        super().data_received(data)
        if self.handshake_initiated or self.conn.handshake_exc is None or self.transport.is_closing():
            return
        answer = b"".join(self.conn.data_to_send())
        self.transport.write(answer or self.conn.reject(HTTPStatus.BAD_REQUEST, UNREADABLE).serialize())
        self.transport.close()

    def shutdown(self) -> None:
        """Close; without a handshake there is nobody to say anything to."""
        if self.handshake_initiated:
            super().shutdown()
        else:
            self.transport.close()
