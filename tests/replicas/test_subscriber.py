"""A subscription outlives what happens to its node: silence, a move of its channel, a message nobody understands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from streamnorm.stores.redis import pubsub
from streamnorm.stores.redis.url import parse_redis_url

PONG = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
MOVED = b"*3\r\n$12\r\nsunsubscribe\r\n$1\r\ns\r\n:0\r\n"


def message(data: bytes) -> bytes:
    """Write a message on the channel `c`."""
    return b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$%d\r\n%b\r\n" % (len(data), data)


class Node:
    """A node that takes subscriptions and says what a test wants it to."""

    def __init__(self, said: bytes = b"", *, answers: bool = True) -> None:
        self.said, self.answers = said, answers
        self.connections = self.pings = 0
        self.open = 0
        self.heard: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.connections += 1
        self.open += 1
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                self.answer(data, writer)
        writer.close()
        self.open -= 1

    def answer(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer what came, as far as this node answers."""
        writer.write(b"+OK\r\n" * data.count(b"SETINFO"))
        if b"SSUBSCRIBE" in data:
            writer.write(self.said)
        self.pings += data.count(b"PING")
        if self.answers:
            writer.write(PONG * data.count(b"PING"))

    def hear(self, channel: bytes, data: bytes) -> None:
        """Take a message, or fail at it."""
        assert (channel, data) != (b"c", b"bad")
        self.heard.append(data)

    async def until(self, what: str, least: int) -> None:
        """Wait until a count has been reached."""
        async with asyncio.timeout(10):
            while getattr(self, what) < least:  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(node: Node) -> AsyncIterator[pubsub.Subscriber]:
    """Serve a node, and yield what subscribes there."""
    server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
    address = parse_redis_url(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    nodes: Any = SimpleNamespace(
        owner=lambda _: SimpleNamespace(place=address.places[0]), address=address, refresh=lambda: asyncio.sleep(0)
    )
    yield pubsub.Subscriber(nodes, 0, "c", "s", node.hear)
    await asyncio.sleep(0.1)  # until those that were cut off are accepted, too
    async with asyncio.timeout(10):
        while node.open:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    server.close()


@asynccontextmanager
async def running(subscriber: pubsub.Subscriber) -> AsyncIterator[None]:
    """Subscribe, and end it as a service does when it stops."""
    task = asyncio.create_task(subscriber.run())
    try:
        yield
    finally:
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait({task})


@asynccontextmanager
async def subscribed(node: Node) -> AsyncIterator[None]:
    """Subscribe at a node."""
    async with serving(node) as subscriber, running(subscriber):
        yield


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pubsub, "SILENCE", 0.05)
    monkeypatch.setattr(pubsub, "PAUSE", 0.01)


async def test_a_node_that_does_not_answer_a_ping_is_left() -> None:
    node = Node(answers=False)
    async with subscribed(node):
        await node.until("connections", 3)
    assert node.pings >= 2


async def test_a_quiet_node_that_answers_is_kept() -> None:
    node = Node()
    async with subscribed(node):
        await node.until("pings", 3)
    assert node.connections == 1


async def test_a_channel_that_moves_is_followed() -> None:
    node = Node(MOVED)
    async with subscribed(node):
        await node.until("connections", 2)
    assert node.pings == 0


@pytest.mark.parametrize("said", [b"", MOVED])
async def test_a_subscription_ends_whenever_it_is_cancelled(said: bytes) -> None:
    async with serving(Node(said)) as subscriber:
        for turn in range(100):
            async with running(subscriber):
                await asyncio.sleep(turn % 40 / 1000)


async def test_a_message_that_fails_ends_nothing() -> None:
    node = Node(message(b"good") + message(b"bad") + message(b"better"))
    async with subscribed(node):
        await node.until("pings", 1)
    assert node.heard == [b"good", b"better"]
    assert node.connections == 1
