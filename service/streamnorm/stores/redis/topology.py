"""Which node owns which partition, as the cluster reports it; refreshed when a node is down or replies MOVED."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from streamnorm.compat.redis import (
    AskError,
    ClusterDownError,
    MasterDownError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from streamnorm.errors import StoreUnavailable
from streamnorm.stores.redis.connection import NodeConnection
from streamnorm.stores.redis.keyspace import PARTITIONS, slot
from streamnorm.stores.redis.url import NodeAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streamnorm.compat.redis import Command, Reply
    from streamnorm.stores.redis.url import RedisURL

#: Seconds during which a command is retried while nodes fail over.
RETRY_DEADLINE = 2.0
#: Seconds between attempts.
RETRY_INTERVAL = 0.05
#: Seconds that a node may take to report the topology: any other node can report it, too.
REFRESH_TIMEOUT = 0.5
#: Errors of a node that is not the right one at the moment (MOVED is a subclass of ASK): a retry may succeed.
ELSEWHERE = (AskError, TryAgainError, ClusterDownError, MasterDownError, ReadOnlyError)


class Topology:
    """The nodes of a store; a single node owns every partition."""

    def __init__(self, address: RedisURL) -> None:
        self.address = address
        self._links: dict[NodeAddress, NodeConnection] = {}
        self._owners: list[NodeAddress | None] = [None] * PARTITIONS
        #: every known node, replicas included, as candidates for a refresh
        self._known = list(address.places)
        self._refreshing: asyncio.Task[None] | None = None
        if not address.cluster:
            self._owners = [address.places[0]] * PARTITIONS

    def owner(self, partition: int) -> NodeConnection | None:
        """Return the connection to the node that owns a partition; None if that is unknown."""
        place = self._owners[partition]
        return None if place is None else self.link(place)

    def link(self, place: NodeAddress) -> NodeConnection:
        """Return the connection to a node."""
        if place not in self._links:
            self._links[place] = NodeConnection(self.address, place)
        return self._links[place]

    def masters(self) -> list[NodeConnection]:
        """Return the connections to all nodes that own partitions."""
        return [self.link(place) for place in dict.fromkeys(self._owners) if place is not None]

    async def refresh(self) -> None:
        """Ask the cluster for its topology; concurrent callers share one request.

        Raises:
            StoreUnavailable: no node answered.

        """
        if not self.address.cluster:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        await asyncio.shield(self._refreshing)

    async def run(self, link: NodeConnection, commands: Sequence[Command], replicas: int = 0) -> list[Reply]:
        """Send commands over `link` as `NodeConnection.run` does, following ASK redirects of keys in migration.

        If the node that a command is redirected to fails, its error becomes the reply. `replicas` replicas must have
        received the writes.

        Raises:
            NotSent, OutcomeUnknown: see `NodeConnection.run`.

        """
        replies = await link.run(commands, replicas)
        for at, reply in enumerate(replies):
            if type(reply) is AskError:
                target = self.link(NodeAddress(reply.host or link.place.host, reply.port))
                try:
                    _, replies[at] = await target.run([("ASKING",), commands[at]], replicas)
                except StoreUnavailable as error:
                    replies[at] = error
        return replies

    async def ask(self, questions: Sequence[tuple[int, Command]]) -> list[Reply]:
        """Send (partition, command) pairs to their nodes concurrently; return the replies in the same order.

        Raises:
            StoreUnavailable: no node answered within `RETRY_DEADLINE`, or one replied with an error.

        """
        replies: list[Reply] = [None] * len(questions)
        open_ = list(range(len(questions)))
        give_up = asyncio.get_running_loop().time() + RETRY_DEADLINE
        while True:
            failure = await self._ask(questions, open_, replies)
            open_ = [at for at in open_ if isinstance(replies[at], (ResponseError, StoreUnavailable))]
            if not open_:
                return replies
            for at in open_:
                if isinstance(replies[at], ResponseError) and not is_redirect(replies[at]):
                    raise StoreUnavailable(f"{self.address} refuses {questions[at][1][0]}: {replies[at]}")
            if asyncio.get_running_loop().time() + RETRY_INTERVAL > give_up:
                raise failure or StoreUnavailable(f"{self.address}: {replies[open_[0]]}")
            await asyncio.sleep(RETRY_INTERVAL)
            await self.refresh()

    async def close(self) -> None:
        """Close all connections."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        for link in self._links.values():
            await link.close()

    async def _ask(
        self, questions: Sequence[tuple[int, Command]], open_: Iterable[int], replies: list[Reply]
    ) -> StoreUnavailable | None:
        """Fill in the replies of the open questions; return a failure, if there was one."""
        by_link: dict[NodeConnection | None, list[int]] = {}
        for at in open_:
            by_link.setdefault(self.owner(questions[at][0]), []).append(at)
        failure: StoreUnavailable | None = None

        async def send(link: NodeConnection | None, indexes: list[int]) -> None:
            nonlocal failure
            try:
                results = await self.run(link or self._no_owner(), [questions[at][1] for at in indexes])
            except StoreUnavailable as error:
                failure = error
                results = [error] * len(indexes)
            for at, reply in zip(indexes, results, strict=True):
                replies[at] = reply

        await asyncio.gather(*(send(link, indexes) for link, indexes in by_link.items()))
        return failure

    def _no_owner(self) -> NodeConnection:
        raise StoreUnavailable(f"{self.address} has no node for some streams")

    async def _refresh(self) -> None:
        places = random.sample(self._known, len(self._known))
        for place in sorted(places, key=lambda place: place not in self._owners):
            link = NodeConnection(self.address, place)
            try:
                async with asyncio.timeout(REFRESH_TIMEOUT):
                    slots = await link.one("CLUSTER", "SLOTS")
            except StoreUnavailable as error:
                failure = error
                continue
            except TimeoutError:
                failure = StoreUnavailable(f"the store at {place} did not answer in time")
                continue
            finally:
                await link.close()
            self._learn(slots, place)
            return
        raise failure

    def _learn(self, slots: Sequence[Sequence[Reply]], asked: NodeAddress) -> None:
        """Update the topology from the reply to `CLUSTER SLOTS`: first slot, last slot, master, replicas."""
        owners: dict[int, NodeAddress] = {}
        known = list(self.address.places)
        for first, last, *nodes in slots:
            places = [NodeAddress((host or b"").decode() or asked.host, port) for host, port, *_ in nodes]
            known += places
            owners.update(dict.fromkeys(range(first, last + 1), places[0]))
        self._owners = [owners.get(slot(number)) for number in range(PARTITIONS)]
        self._known = list(dict.fromkeys(known))


def is_redirect(error: ResponseError) -> bool:
    """Return whether another node, or the same one later, may accept what this one refused."""
    return isinstance(error, ELSEWHERE) or "Function not found" in str(error)
