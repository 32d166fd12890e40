"""Routes edits to the batcher of the node that owns the stream, and retries them until their deadline."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from streamnorm.errors import StoreUnavailable
from streamnorm.stores.codec import encode
from streamnorm.stores.redis.cas_batch import CasBatcher, Edit, Entry, PendingEdit
from streamnorm.stores.redis.keyspace import partition
from streamnorm.stores.redis.topology import RETRY_DEADLINE, RETRY_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streamnorm.engine.streams.stream import Stream
    from streamnorm.stores.redis.connection import NodeConnection
    from streamnorm.stores.redis.keyspace import Keyspace
    from streamnorm.stores.redis.topology import Topology


class CasWriter:
    """Submits edits and caches the entries it saw; a `streamnorm.stores.redis.cas_batch.CasContext`.

    `keep` is the time in milliseconds that a stream is kept after its last change (0: indefinitely), `replicas` the
    number of the store's replicas that must have a change, `max_remembered` the capacity of the cache in streams.
    """

    def __init__(self, nodes: Topology, keys: Keyspace, *, keep: int, replicas: int, max_remembered: int) -> None:
        self.nodes = nodes
        self.keys = keys
        self.keep = keep
        self.replicas = replicas
        self.commits = 0
        self.commit_seconds = 0.0
        self.cached_entries: dict[str, Entry] = {}
        self._max_remembered = max_remembered
        self._batchers: dict[NodeConnection, CasBatcher] = {}
        self._requeued: list[PendingEdit] = []
        self._retrying: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Finish the running rounds; edits that await a retry fail."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.gather(self._retrying, return_exceptions=True)
        self._fail_all(StoreUnavailable("the service is stopping"))
        for batcher in self._batchers.values():
            await batcher.drained()
        self._fail_all(StoreUnavailable("the service is stopping"))

    def submit(self, stream_id: str, edit: Edit, *, fresh: bool = False) -> asyncio.Future[Any]:
        """Submit an `edit` of the stream `stream_id`; with `fresh`, read it from the store instead of the cache."""
        loop = asyncio.get_running_loop()
        task = PendingEdit(stream_id, edit, loop.create_future(), fresh, loop.time() + RETRY_DEADLINE)
        self._submit(task)
        return task.done

    def entry(self, stream_id: str) -> asyncio.Future[Entry]:
        """Read a stream with its version from the store."""
        return self.submit(stream_id, lambda entry: (entry.stream, entry), fresh=True)

    async def entries(self, stream_ids: Iterable[str]) -> dict[str, Entry]:
        """Read streams with their versions from the store."""
        asked = {stream_id: self.entry(stream_id) for stream_id in stream_ids}
        return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))

    def compare_and_set(self, stream_id: str, expected: Entry, stream: Stream | None) -> asyncio.Future[bool]:
        """Set the stream `stream_id` to `stream` (None: delete it) if its version is still that of `expected`.

        The future's result is whether it was.
        """

        def edit(entry: Entry) -> tuple[Stream | None, bool]:
            same = entry.version == expected.version
            return (stream if same else entry.stream), same

        return self.submit(stream_id, edit)

    async def roll_back(self, written: Mapping[str, tuple[Entry, Stream]]) -> set[str]:
        """Undo changes, given the entry before and the stream after each, except of streams changed again since.

        Returns the ids of those streams, whose later changes rest on the ones to be undone.
        """
        changed_again = set()
        for stream_id, (before, after) in written.items():
            entry = await self.entry(stream_id)
            same = entry.stream is not None and encode(entry.stream) == encode(after)
            if not (same and await self.compare_and_set(stream_id, entry, before.stream)):
                changed_again.add(stream_id)
        return changed_again

    def cached(self, stream_id: str) -> Entry | None:
        """Return the cached entry of a stream, if there is one."""
        return self.cached_entries.get(stream_id)

    def cache(self, stream_id: str, entry: Entry | None) -> None:
        """Cache a stream's entry, evicting the least recently changed one at capacity; None drops it."""
        self.cached_entries.pop(stream_id, None)
        if entry is not None:
            self.cached_entries[stream_id] = entry
            if len(self.cached_entries) > self._max_remembered:
                del self.cached_entries[next(iter(self.cached_entries))]

    def requeue(self, tasks: Iterable[PendingEdit], error: StoreUnavailable) -> None:
        """Retry edits that had no effect until their deadline, then fail them with the error."""
        now = asyncio.get_running_loop().time()
        for task in tasks:
            if now + RETRY_INTERVAL > task.deadline:
                task.settle(error)
            else:
                self._requeued.append(task)
        if self._requeued and (self._retrying is None or self._retrying.done()):
            self._retrying = asyncio.create_task(self._retry(), name="streamnorm store retry")

    def _submit(self, task: PendingEdit) -> None:
        link = self.nodes.owner(partition(task.stream_id))
        if link is None:
            self.requeue([task], StoreUnavailable(f"{self.nodes.address} has no node for stream {task.stream_id!r}"))
            return
        if link not in self._batchers:
            self._batchers[link] = CasBatcher(link, self)
        self._batchers[link].add(task)

    async def _retry(self) -> None:
        while self._requeued:
            await asyncio.sleep(RETRY_INTERVAL)
            with contextlib.suppress(StoreUnavailable):  # the edits' own attempts report it
                await self.nodes.refresh()
            tasks, self._requeued = self._requeued, []
            for task in tasks:
                self._submit(task)

    def _fail_all(self, error: StoreUnavailable) -> None:
        """Fail the edits that await a retry."""
        tasks, self._requeued = self._requeued, []
        for task in tasks:
            task.settle(error)
