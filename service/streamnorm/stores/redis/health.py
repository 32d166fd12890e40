"""Health checks of a shared store, several times a second, and an occasional count of its streams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from streamnorm.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streamnorm.stores.redis.connection import NodeConnection
    from streamnorm.stores.redis.stream_index import StreamIndex
    from streamnorm.stores.redis.topology import Topology

log = logging.getLogger(__name__)

#: Seconds between checks of the store and its API keys: a revoked key stays valid for half a second at most.
CHECK_INTERVAL = 0.3
#: Counting takes a thousand commands, so it happens once in this many checks.
CHECKS_PER_COUNT = 200


class HealthMonitor:
    """Health monitor for the shared store."""

    def __init__(self, nodes: Topology, listing: StreamIndex) -> None:
        #: called after every successful check
        self.watchers: list[Callable[[], Awaitable[None]]] = []
        #: streams in the store at the last count
        self.total = 0
        #: why the last check failed, if it did
        self.failure: StoreUnavailable | None = StoreUnavailable(f"{nodes.address} was not reached yet")
        self._nodes = nodes
        self._listing = listing
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Check the store once, then periodically in the background."""
        await self._look()
        self._task = asyncio.create_task(self._go_on(), name="streamnorm store check")

    async def stop(self) -> None:
        """Stop checking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailable):  # _look reports it
                self.total = await self._listing.count()
            for _ in range(CHECKS_PER_COUNT):
                await asyncio.sleep(CHECK_INTERVAL)
                await self._look()

    async def _look(self) -> None:
        """Check whether any node serves; when one shard of several is down, the others still do."""
        failure = await self._found()
        if (failure is None) != (self.failure is None):
            if failure is None:
                log.info("the store %s is there", self._nodes.address)
            else:
                log.error("readings are refused: %s", failure)
        self.failure = failure
        for watcher in () if failure else self.watchers:
            with contextlib.suppress(StoreUnavailable):  # the next check reports it
                await watcher()

    async def _found(self) -> StoreUnavailable | None:
        """Return why no node serves; None if any does."""
        nodes = self._nodes
        try:
            if not nodes.masters():
                await nodes.refresh()
            failures = await asyncio.gather(*map(self._diagnose, nodes.masters()))
            if not all(failures):
                return None
            await nodes.refresh()
        except StoreUnavailable as error:
            return error
        return failures[0] if failures else StoreUnavailable(f"{nodes.address} has no nodes")

    async def _diagnose(self, link: NodeConnection) -> StoreUnavailable | None:
        """Return why a node does not serve; None if it does."""
        try:
            if not self._nodes.address.cluster:
                await link.one("PING")
            elif b"cluster_state:ok" not in await link.one("CLUSTER", "INFO"):
                return StoreUnavailable(f"the cluster {self._nodes.address} is down, as {link.place} says")
        except StoreUnavailable as error:
            return error
        return None
