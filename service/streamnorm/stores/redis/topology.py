"""Which node has which partition, as the store itself says; asked again whenever a node is gone or says "moved"."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from redis.exceptions import (
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

    from streamnorm.stores.redis.connection import Command, Reply
    from streamnorm.stores.redis.url import RedisURL

#: Seconds that a question outside the readings' way is asked again and again, while nodes come and go.
RETRY_DEADLINE = 2.0
#: Seconds between two tries.
RETRY_INTERVAL = 0.05
#: Seconds that a node may take to say who has what: any other can tell, too.
REFRESH_TIMEOUT = 0.5
#: What a node says that is not the one to ask now ("moved" is a kind of "ask"); asking the right one helps.
ELSEWHERE = (AskError, TryAgainError, ClusterDownError, MasterDownError, ReadOnlyError)


class Topology:
    """The nodes of a store; a single one has every partition."""

    def __init__(self, address: RedisURL) -> None:
        self.address = address
        self._links: dict[NodeAddress, NodeConnection] = {}
        self._owners: list[NodeAddress | None] = [None] * PARTITIONS
        #: every node that was ever heard of, replicas too, to ask about the others
        self._known = list(address.places)
        self._refreshing: asyncio.Task[None] | None = None
        if not address.cluster:
            self._owners = [address.places[0]] * PARTITIONS

    def owner(self, partition: int) -> NodeConnection | None:
        """Return the link to the node that has a partition, as far as is known."""
        place = self._owners[partition]
        return None if place is None else self.link(place)

    def link(self, place: NodeAddress) -> NodeConnection:
        """Return the link to a node."""
        if place not in self._links:
            self._links[place] = NodeConnection(self.address, place)
        return self._links[place]

    def masters(self) -> list[NodeConnection]:
        """Return the links to all nodes that have partitions."""
        return [self.link(place) for place in dict.fromkeys(self._owners) if place is not None]

    async def refresh(self) -> None:
        """Ask the cluster who has what; all who wait get the same answer.

        Raises:
            StoreUnavailable: no node answers.

        """
        if not self.address.cluster:
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._refresh())
        await asyncio.shield(self._refreshing)

    async def run(self, link: NodeConnection, commands: Sequence[Command], replicas: int = 0) -> list[Reply]:
        """Send commands to a node as `NodeConnection.run` does; those whose keys are just being moved go where it says.

        Where that other node fails, its error takes the reply's place.

        Raises:
            Unsent, Lost: as `NodeConnection.run` does.

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
        """Ask the nodes that have the partitions named, all at once; returns the replies in the questions' order.

        Raises:
            StoreUnavailable: for so long no node was there that answers.

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
        """Fill in the replies of the open questions; returns what failed."""
        by_link: dict[NodeConnection | None, list[int]] = {}
        for at in open_:
            by_link.setdefault(self.owner(questions[at][0]), []).append(at)
        failure: StoreUnavailable | None = None

        async def to(link: NodeConnection | None, places: list[int]) -> None:
            nonlocal failure
            try:
                given = await self.run(link or self._nobody(), [questions[at][1] for at in places])
            except StoreUnavailable as error:
                failure = error
                given = [error] * len(places)
            for at, reply in zip(places, given, strict=True):
                replies[at] = reply

        await asyncio.gather(*(to(link, places) for link, places in by_link.items()))
        return failure

    def _nobody(self) -> NodeConnection:
        raise StoreUnavailable(f"{self.address} has no node for some streams")

    async def _refresh(self) -> None:
        places = random.sample(self._known, len(self._known))
        for place in sorted(places, key=lambda place: place not in self._owners):
            link = NodeConnection(self.address, place)
            try:
                async with asyncio.timeout(REFRESH_TIMEOUT):
                    found = await link.one("CLUSTER", "SLOTS")
            except StoreUnavailable as error:
                failure = error
                continue
            except TimeoutError:
                failure = StoreUnavailable(f"the store at {place} did not answer in time")
                continue
            finally:
                await link.close()
            self._learn(found, place)
            return
        raise failure

    def _learn(self, found: Sequence[Sequence[Reply]], asked: NodeAddress) -> None:
        """Update with what `CLUSTER SLOTS` gives: first slot, last slot, master, replicas."""
        owners: dict[int, NodeAddress] = {}
        known = list(self.address.places)
        for first, last, *nodes in found:
            places = [NodeAddress((host or b"").decode() or asked.host, port) for host, port, *_ in nodes]
            known += places
            owners.update(dict.fromkeys(range(first, last + 1), places[0]))
        self._owners = [owners.get(slot(number)) for number in range(PARTITIONS)]
        self._known = list(dict.fromkeys(known))


def is_redirect(error: ResponseError) -> bool:
    """Return whether another node, or the same one a little later, may answer what this one refused."""
    return isinstance(error, ELSEWHERE) or "Function not found" in str(error)
