"""redis-py, and all that is used of its inside: connections, pipelines of packed commands, the slots of a cluster.

redis-py's clients retry, pool and route by rules of their own, and cost more than the store; its connections only
encode, send, receive and decode. Other modules use redis-py only through this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio.connection import Connection as AsyncConnection
from redis.asyncio.connection import SSLConnection, parse_url
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = [
    "AskError",
    "ClusterDownError",
    "Command",
    "Connection",
    "MasterDownError",
    "ReadOnlyError",
    "RedisError",
    "RedisTimeoutError",
    "Reply",
    "ResponseError",
    "TryAgainError",
    "connection_options",
    "key_slot",
]

Command = tuple[Any, ...]
#: bytes, a number, a list or None; or an error, since other commands of the pipeline may have succeeded
Reply = Any


class Connection:
    """A connection to the node at `host` and `port`, over TLS with `tls`, which is to be connected before its use.

    `connect_timeout` and `answer_timeout`, of each reply, are in seconds; `options` are redis-py's. Where they are
    exceeded, TimeoutError is raised. redis-py's own limit on sending is left out: until Python 3.12 the function that
    it is made of, `asyncio.wait_for`, forgets a cancellation that comes as it ends.
    """

    def __init__(
        self,
        host: str,
        port: int,
        options: Mapping[str, Any],
        *,
        tls: bool,
        connect_timeout: float,
        answer_timeout: float,
    ) -> None:
        self._patience = connect_timeout, answer_timeout
        kind = SSLConnection if tls else AsyncConnection
        self._connection: AsyncConnection = kind(
            host=host,
            port=port,
            protocol=2,  # RESP3 offers nothing we need, and RESP2 is parsed faster
            socket_timeout=None,
            socket_connect_timeout=connect_timeout,
            **options,
        )

    async def connect(self) -> None:
        """Connect, and authenticate."""
        async with asyncio.timeout(sum(self._patience)):
            await self._connection.connect()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        """Close the connection without waiting for the node."""
        await self._connection.disconnect(nowait=True)

    async def send(self, commands: Sequence[Command]) -> None:
        """Send commands in one pipeline."""
        async with asyncio.timeout(self._patience[1]):
            await self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)

    async def receive(self, patience: float) -> Reply:
        """Receive one message; return None if there is none within `patience` seconds."""
        return await self._connection.read_response(disable_decoding=True, timeout=patience)

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands in one pipeline and receive their replies, errors among them."""
        await self.send(commands)
        replies = []
        read = self._connection.read_response
        for _ in commands:
            try:
                async with asyncio.timeout(self._patience[1]):
                    replies.append(await read(disable_decoding=True))
            except ResponseError as error:
                replies.append(error)
        return replies


def connection_options(url: str) -> dict[str, Any]:
    """Return the options of a connection to the node in a `url`, without its address.

    Raises:
        ValueError: the URL, or an option in it, cannot be understood.

    """
    options = dict(parse_url(url))
    for name in ("host", "port", "connection_class"):
        options.pop(name, None)
    return options
