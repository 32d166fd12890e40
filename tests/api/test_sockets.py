"""uvicorn's WebSocket protocol where a handshake cannot be read: answered, closed, and no fault at the stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from uvicorn.server import ServerState

from streamnorm import server
from streamnorm.api.fastpath.ws_protocol import WebSockets
from streamnorm.app import with_middleware
from streamnorm.auth.api_keys import SQLiteApiKeys
from tests.support.http_calls import running, settings_of
from tests.support.http_wire import Sent

HEAD = b"GET /v1/live HTTP/1.1\r\n"


class Socket:
    """A connection whose bytes a WebSocket takes over."""

    def __init__(self, config: object) -> None:
        self.sent = Sent()
        self.protocol = WebSockets(config=config, server_state=ServerState(), app_state={})  # type: ignore[arg-type]
        self.protocol.connection_made(self.sent)


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Socket]:
    """Connect."""
    settings = settings_of(insecure=True)
    async with running() as api:
        front = with_middleware(api.app, api.context, settings, SQLiteApiKeys(tmp_path))
        yield Socket(server.configuration(front.app, front.at_once, settings))


@pytest.mark.parametrize(
    ("rest", "status"),
    [(b"Content-Length: 5\r\n\r\n", 400), (b"a: %b\r\n\r\n" % (b"x" * 9000), 431), (b"a: b\r\n" * 200 + b"\r\n", 431)],
)
async def test_a_handshake_that_cannot_be_read_is_answered(opened: Socket, rest: bytes, status: int) -> None:
    opened.protocol.data_received(HEAD + rest)
    assert opened.sent.closed
    assert b"".join(opened.sent.writes).startswith(b"HTTP/1.1 %d " % status)


async def test_a_handshake_that_does_not_come_does_not_break_the_stop(opened: Socket) -> None:
    opened.protocol.data_received(HEAD)
    assert opened.protocol.stalled
    opened.protocol.shutdown()
    assert opened.sent.closed
    assert opened.sent.writes == []
