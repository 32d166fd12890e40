"""What is written to a WebSocket in one turn of the event loop is sent as one piece, at the end of that turn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from streamnorm.api.fastpath.ws_protocol import MAX_COALESCED_BYTES, CoalescingTransport


class Counted(CoalescingTransport):
    """A transport that counts how often it sends something."""

    sent = 0

    def flush(self) -> None:
        """Count, and send."""
        self.sent += bool(self._gathered)
        super().flush()


@pytest.fixture
async def connected() -> AsyncIterator[tuple[Counted, socket.socket]]:
    """Yield a transport, and the socket at its other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(0.0)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    yield Counted(transport, loop), theirs
    transport.close()
    theirs.close()
    await asyncio.sleep(0)


async def received(theirs: socket.socket, size: int) -> bytes:
    """Receive so many bytes."""
    found = b""
    async with asyncio.timeout(60):
        while len(found) < size:
            found += await asyncio.get_running_loop().sock_recv(theirs, size - len(found))
    return found


async def test_every_turn_sends_what_was_written_in_it_once(connected: tuple[Counted, socket.socket]) -> None:
    transport, theirs = connected
    transport.write(b"one")
    assert await received(theirs, 3) == b"one"
    transport.write(b"two")
    transport.write(b"three")
    assert transport.sent == 1
    assert await received(theirs, 8) == b"twothree"
    assert transport.sent == 2


async def test_much_is_sent_at_once(connected: tuple[Counted, socket.socket]) -> None:
    transport, theirs = connected
    transport.write(bytes(MAX_COALESCED_BYTES))
    assert transport.sent == 0
    transport.write(b"x")
    assert transport.sent == 1
    assert await received(theirs, MAX_COALESCED_BYTES + 1) == bytes(MAX_COALESCED_BYTES) + b"x"


async def test_what_was_written_before_it_closes_is_sent(connected: tuple[Counted, socket.socket]) -> None:
    transport, theirs = connected
    transport.write(b"last")
    transport.close()
    assert await received(theirs, 4) == b"last"
