"""One connection to one node: commands are pipelined, replies arrive in order.

Rules:

1. The pipelines of a connection run one at a time.
2. A pipeline that fails before anything was sent raises `NotSent`, and may be retried; one that fails later raises
   `OutcomeUnknown`: it may or may not have been executed.
3. A failed connection stays usable: its next pipeline reconnects.
4. When the node does not answer in time, queued pipelines fail at once: no call waits for more than one timeout.
"""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from streamnorm.compat.redis import RedisError, RedisTimeoutError, ResponseError
from streamnorm.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamnorm.compat.redis import Command, Connection, Reply
    from streamnorm.stores.redis.url import NodeAddress, RedisURL

#: If a replica lags by more, the client should retry later.
WAIT_MILLISECONDS = 1000

LIBRARY = files("streamnorm.stores.redis").joinpath("functions.lua").read_text()


class NotSent(StoreUnavailable):
    """The node cannot be reached; no command was executed."""


class OutcomeUnknown(StoreUnavailable):
    """The connection broke before the reply; the commands may or may not have been executed."""


class Silent(OutcomeUnknown):
    """The node is connected but did not answer in time; a retry would only time out, too."""


class NodeConnection:
    """A connection to a node, opened on demand."""

    def __init__(self, address: RedisURL, place: NodeAddress) -> None:
        self.place = place
        self._address = address
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._silences = 0
        self._silence = f"the store at {place} did not answer in time"

    async def run(self, commands: Sequence[Command], replicas: int = 0) -> list[Reply]:
        """Send commands in one pipeline and return their replies, errors among them.

        If fewer than `replicas` replicas have received the writes, a `StoreUnavailable` that says so replaces every
        reply that is not an error.

        Raises:
            NotSent: the node cannot be reached.
            OutcomeUnknown: the connection broke before all replies had arrived.
            Silent: the node did not answer in time, or did not answer the preceding pipeline.

        """
        silences = self._silences
        async with self._turn:
            if self._silences != silences:
                raise Silent(self._silence)
            connection = await self._connected()
            wait = [("WAIT", replicas, WAIT_MILLISECONDS)] if replicas else []
            try:
                replies = await connection.exchange([*commands, *wait])
            except (RedisError, OSError) as error:
                await self._drop()
                if isinstance(error, (RedisTimeoutError, TimeoutError)):
                    raise self._fell_silent() from error
                raise OutcomeUnknown(f"the store at {self.place} did not answer: {error}") from error
            except BaseException:  # cancelled between request and reply
                await self._drop()
                raise
            if any(isinstance(reply, ResponseError) and "Function not found" in str(reply) for reply in replies):
                await self._drop()  # connecting loads the library
        return self._held(replies[:-1], replies[-1], replicas) if replicas else replies

    async def one(self, *command: Any) -> Reply:
        """Send one command and return its reply.

        Raises:
            StoreUnavailable: the node cannot be reached, or replies with an error.

        """
        (reply,) = await self.run([command])
        if isinstance(reply, ResponseError):
            raise StoreUnavailable(f"the store at {self.place} refuses {command[0]}: {reply}")
        return reply

    async def close(self) -> None:
        """Close the connection after the running pipeline."""
        async with self._turn:
            await self._drop()

    async def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._address.connection(self.place)
            try:
                await connection.connect()
                (loaded,) = await connection.exchange([("FUNCTION", "LOAD", LIBRARY)])
            except (RedisError, OSError) as error:
                await connection.close()
                if isinstance(error, (RedisTimeoutError, TimeoutError)):
                    raise self._fell_silent() from error
                raise NotSent(f"the store at {self.place} cannot be reached: {error}") from error
            except BaseException:
                await connection.close()
                raise
            if isinstance(loaded, ResponseError) and "unknown command" in str(loaded):
                await connection.close()
                raise NotSent(f"the store at {self.place} does not support FUNCTION: Redis 7 or Valkey is required")
            self._connection = connection  # any other error: the library is loaded already, or the node is a replica
        return self._connection

    def _fell_silent(self) -> Silent:
        self._silences += 1
        return Silent(self._silence)

    def _held(self, replies: list[Reply], acknowledged: Reply, replicas: int) -> list[Reply]:
        if isinstance(acknowledged, int) and acknowledged >= replicas:
            return replies
        failure = StoreUnavailable(
            f"{acknowledged} of {replicas} replicas of {self.place} have the change; sending it again is safe"
        )
        return [reply if isinstance(reply, ResponseError) else failure for reply in replies]

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
