"""One connection to one node: commands go out together, answers come back in order.

Rules:

1. The pipelines of a connection follow each other.
2. A pipeline that fails before anything was sent raises `NotSent`, and may be retried; one that fails later raises
   `OutcomeUnknown`: whether it was executed cannot be known.
3. A connection that failed is usable: its next pipeline connects again.
4. Where the node is silent for too long, pipelines that wait for their turn fail at once: no call waits for more than
   one silence.
"""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streamnorm.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.asyncio.connection import Connection

    from streamnorm.stores.redis.url import NodeAddress, RedisURL

Command = tuple[Any, ...]
#: bytes, a number, a list, None; or an error, for other commands of the pipeline may have succeeded
Reply = Any

#: A replica that lags by more had better be waited for by the client, in its next try.
WAIT_MILLISECONDS = 1000

LIBRARY = files("streamnorm.stores.redis").joinpath("functions.lua").read_text()


class NotSent(StoreUnavailable):
    """The node cannot be reached; nothing has happened."""


class OutcomeUnknown(StoreUnavailable):
    """The node went away before it answered; what was sent may have happened or not."""


class Silent(OutcomeUnknown):
    """The node is there and says nothing: trying again would only take as long."""


class NodeConnection:
    """A connection to a node, made when it is needed."""

    def __init__(self, address: RedisURL, place: NodeAddress) -> None:
        self.place = place
        self._address = address
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._silences = 0
        self._silence = f"the store at {place} did not answer in time"

    async def run(self, commands: Sequence[Command], replicas: int = 0) -> list[Reply]:
        """Send commands in one go and give their replies, errors among them.

        Where fewer than `replicas` replicas have what was written, a `StoreUnavailable` that says so takes the place
        of every reply but errors.

        Raises:
            Unsent: the node cannot be reached.
            Lost: it did not answer all of them.
            Silent: it did not answer in time, or not those before.

        """
        silences = self._silences
        async with self._turn:
            if self._silences != silences:
                raise Silent(self._silence)
            connection = await self._connected()
            wait = [("WAIT", replicas, WAIT_MILLISECONDS)] if replicas else []
            try:
                replies = await _exchanged(connection, [*commands, *wait])
            except (RedisError, OSError) as error:
                await self._drop()
                if isinstance(error, (RedisTimeoutError, TimeoutError)):
                    raise self._fell_silent() from error
                raise OutcomeUnknown(f"the store at {self.place} did not answer: {error}") from error
            except BaseException:  # cut off between question and answer
                await self._drop()
                raise
            if any(isinstance(reply, ResponseError) and "Function not found" in str(reply) for reply in replies):
                await self._drop()  # connecting loads the library
        return self._held(replies[:-1], replies[-1], replicas) if replicas else replies

    async def one(self, *command: Any) -> Reply:
        """Send one command; an error is raised.

        Raises:
            StoreUnavailable: the node cannot be reached, or refuses.

        """
        (reply,) = await self.run([command])
        if isinstance(reply, ResponseError):
            raise StoreUnavailable(f"the store at {self.place} refuses {command[0]}: {reply}")
        return reply

    async def close(self) -> None:
        """Close the connection, once nobody waits for an answer."""
        async with self._turn:
            await self._drop()

    async def _connected(self) -> Connection:
        if self._connection is None:
            connection = self._address.connection(self.place)
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                (loaded,) = await _exchanged(connection, [("FUNCTION", "LOAD", LIBRARY)])
            except (RedisError, OSError) as error:
                await connection.disconnect(nowait=True)
                if isinstance(error, (RedisTimeoutError, TimeoutError)):
                    raise self._fell_silent() from error
                raise NotSent(f"the store at {self.place} cannot be reached: {error}") from error
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            if isinstance(loaded, ResponseError) and "unknown command" in str(loaded):
                await connection.disconnect(nowait=True)
                raise NotSent(f"the store at {self.place} knows no functions: Redis 7 or Valkey is needed")
            self._connection = connection  # another error: it has the library, or is no master
        return self._connection

    def _fell_silent(self) -> Silent:
        self._silences += 1
        return Silent(self._silence)

    def _held(self, replies: list[Reply], had: Reply, replicas: int) -> list[Reply]:
        if isinstance(had, int) and had >= replicas:
            return replies
        short = StoreUnavailable(
            f"{had} of {replicas} replicas of {self.place} have the change; sending it again is safe"
        )
        return [reply if isinstance(reply, ResponseError) else short for reply in replies]

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)


async def _exchanged(connection: Connection, commands: Sequence[Command]) -> list[Reply]:
    await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    replies = []
    for _ in commands:
        try:
            replies.append(await connection.read_response(disable_decoding=True))
        except ResponseError as error:
            replies.append(error)
    return replies
