"""Requests as uvicorn's protocol gets them: bytes, in as many pieces as the test wants, but without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import httptools
import httpx
from uvicorn.config import Config
from uvicorn.server import ServerState

from streamnorm import server
from streamnorm.api.fastpath.http_protocol import FastPathProtocol
from streamnorm.app import ASGIStack
from streamnorm.settings import Settings

DATE = b"Sun, 22 Nov 2026 09:00:00 GMT"
#: how a request is cut
Cut = Callable[[bytes, bytes], Sequence[bytes]]
#: Times that the loop turns while a request waits for its next piece.
TURNS = 10


def whole(head: bytes, body: bytes) -> Sequence[bytes]:
    """Send a request in one piece."""
    return [head + body]


def apart(head: bytes, body: bytes) -> Sequence[bytes]:
    """Send the head, then the body."""
    return [head, body]


def in_pieces(head: bytes, body: bytes) -> Sequence[bytes]:
    """Send the head, then each half of the body."""
    middle = len(body) // 2
    return [head, body[:middle], body[middle:]]


class Sent(asyncio.Transport):
    """A connection's other end: takes what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)})
        self.writes: list[bytes] = []
        self.closed = False
        self._changed = asyncio.Event()

    def write(self, data: Any) -> None:
        """Take data."""
        self.writes.append(bytes(data))
        self._changed.set()

    def close(self) -> None:
        """End."""
        self.closed = True
        self._changed.set()

    async def changed(self) -> None:
        """Wait until more is written than at the last call, or until it ends."""
        await self._changed.wait()
        self._changed.clear()

    def is_closing(self) -> bool:
        """Return whether it has ended."""
        return self.closed

    def pause_reading(self) -> None:
        """Read no more."""

    def resume_reading(self) -> None:
        """Read on."""


class Response:
    """Parses one response."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """End."""
        self.complete = True


class Connection:
    """A connection to what the server runs, as it is configured."""

    def __init__(self, config: Config) -> None:
        state = ServerState()
        state.default_headers = [(b"date", DATE)]
        self.sent = Sent()
        kind: Any = config.http_protocol_class
        self.protocol: FastPathProtocol = kind(config=config, server_state=state, app_state={})
        self.protocol.connection_made(self.sent)

    async def send(self, *pieces: bytes) -> None:
        """Send pieces."""
        for piece in pieces:
            self.protocol.data_received(piece)
            for _ in range(TURNS):
                await asyncio.sleep(0)

    async def answers(self, count: int) -> list[tuple[int, Response]]:
        """Wait for so many answers; returns their statuses too."""
        while True:
            found: list[tuple[int, Response]] = []
            rest = b"".join(self.sent.writes)
            while rest and len(found) < count:
                response = Response()
                parser = httptools.HttpResponseParser(response)
                # the parser does not tell where a message ends: this one's length does
                head, _, after = rest.partition(b"\r\n\r\n")
                parser.feed_data(head + b"\r\n\r\n")
                length = int(dict(response.headers).get(b"content-length", 0))
                parser.feed_data(after[:length])
                rest = after[length:]
                if len(response.body) == length:
                    found.append((parser.get_status_code(), response))
            if len(found) == count or self.sent.closed:
                return found
            await self.sent.changed()


def connection_to(front: ASGIStack, settings: Settings) -> Connection:
    """Connect to what the server runs, with these settings."""
    return Connection(server.configuration(front.app, front.at_once, settings))


class KeptWire(httpx.AsyncBaseTransport):
    """Sends all requests in one piece over one connection, as long as that lasts."""

    def __init__(self, front: ASGIStack, settings: Settings) -> None:
        self._config = server.configuration(front.app, front.at_once, settings)
        self._connection: Connection | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        if self._connection is None or self._connection.sent.closed:
            self._connection = Connection(self._config)
        self._connection.sent.writes.clear()
        await self._connection.send(head_of(request) + await request.aread())
        [(status, response)] = await self._connection.answers(1)
        return httpx.Response(status, headers=response.headers, content=response.body)


class Wire(httpx.AsyncBaseTransport):
    """Sends every request over a connection of its own."""

    def __init__(self, front: ASGIStack, settings: Settings, cut: Cut) -> None:
        self._config, self._cut = server.configuration(front.app, front.at_once, settings), cut

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        connection = Connection(self._config)
        await connection.send(*self._cut(head_of(request), await request.aread()))
        [(status, response)] = await connection.answers(1)
        return httpx.Response(status, headers=response.headers, content=response.body)


def head_of(request: httpx.Request) -> bytes:
    """Write a request's head."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
    lines += [b"%b: %b" % header for header in request.headers.raw]
    return b"\r\n".join([*lines, b"", b""])
