"""Subscribes to two channels of the store: a plain one, and a sharded one that only its partition's node serves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from streamnorm.compat.redis import RedisError
from streamnorm.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamnorm.compat.redis import Connection
    from streamnorm.stores.redis.topology import Topology

log = logging.getLogger(__name__)

#: Seconds without a message after which the node is pinged, and seconds that it may take to answer.
SILENCE = 5.0
#: Seconds before reconnecting.
PAUSE = 0.5


class Subscriber:
    """Passes the channels' messages to `heard` while `run` runs, reconnecting as needed."""

    def __init__(
        self, nodes: Topology, partition: int, channel: str, sharded: str, heard: Callable[[bytes, bytes], None]
    ) -> None:
        self._nodes = nodes
        self._partition = partition
        self._channel = channel
        self._sharded = sharded
        self._heard = heard

    async def run(self) -> None:
        """Receive messages until cancelled."""
        while True:
            try:
                link = self._nodes.owner(self._partition)
                if link is not None:
                    await self._listen(self._nodes.address.connection(link.place))
            except (RedisError, OSError) as error:
                log.debug("events of other replicas do not come: %s", error)
            await asyncio.sleep(PAUSE)
            with contextlib.suppress(StoreUnavailable):
                await self._nodes.refresh()

    async def _listen(self, connection: Connection) -> None:
        """Receive messages until the connection breaks, or the channel moves to another node."""
        try:
            await connection.connect()
            await connection.send([("SUBSCRIBE", self._channel), ("SSUBSCRIBE", self._sharded)])
            pinged = False
            while True:  # a timeout returns None
                message = await connection.receive(SILENCE)
                if message is None:
                    if pinged:
                        return
                    pinged = True
                    await connection.send([("PING",)])
                    continue
                pinged = False
                kind = message[0]
                if kind in {b"message", b"smessage"}:
                    self._hand_on(message[1], message[2])
                elif kind == b"sunsubscribe":
                    return
        finally:
            await connection.close()

    def _hand_on(self, channel: bytes, data: bytes) -> None:
        try:
            self._heard(channel, data)
        except Exception:  # a message of another version must not end the subscription
            log.exception("a message on %r was not understood", channel)
