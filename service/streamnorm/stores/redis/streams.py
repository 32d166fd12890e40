"""Streams that several replicas of the service share in Valkey or Redis: a `StreamRepository` for many machines.

Rules:

1. A change is answered when the store has it, and with durability `always` some of the store's replicas too.
2. Nothing that cannot be had from the store is kept here: what is remembered saves reading, and is compared when set.
3. While a heavy change of a stream runs here, other changes of it wait their turn here; elsewhere they may overtake it,
   then it is done again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

from streamnorm.engine.ports.stream_repository import RepositoryStats
from streamnorm.engine.stream import Stream
from streamnorm.errors import StoreUnavailable, StreamnormError, StreamNotFound
from streamnorm.stores.redis.cas_writer import CasWriter
from streamnorm.stores.redis.health import HealthMonitor
from streamnorm.stores.redis.keyspace import Keyspace
from streamnorm.stores.redis.stream_index import StreamIndex
from streamnorm.stores.redis.topology import Topology
from streamnorm.stores.stream_locks import StreamLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from streamnorm.engine.plan import Plan
    from streamnorm.engine.ports.stream_repository import Change
    from streamnorm.stores.redis.cas_batch import Entry
    from streamnorm.stores.redis.url import RedisURL

T = TypeVar("T")

#: Streams remembered; of 8 features each takes 1.5 kB of memory.
DEFAULT_MAX_REMEMBERED = 100_000
#: A change in another thread is done again so often where others overtake it.
HEAVY_TRIES = 10


class SharedStreams:
    """All streams of a store, as one replica sees them; a `streamnorm.engine.ports.stream_repository.Streams`.

    `replicas` of the store must have a change before it is answered. A stream that has not changed for `ttl` seconds is
    forgotten; 0 keeps all.
    """

    def __init__(
        self,
        address: RedisURL,
        default_plan: Plan,
        *,
        prefix: str,
        replicas: int = 0,
        max_remembered: int = DEFAULT_MAX_REMEMBERED,
        ttl: float = 0.0,
    ) -> None:
        self.default_plan = default_plan
        self.topology = Topology(address)
        self.keys = Keyspace(prefix)
        self._index = StreamIndex(self.topology, self.keys)
        self.health = HealthMonitor(self.topology, self._index)
        self._writer = CasWriter(
            self.topology, self.keys, keep=round(ttl * 1000), replicas=replicas, max_remembered=max_remembered
        )
        self._locks = StreamLocks()

    async def start(self) -> None:
        """Start to watch whether the store is there."""
        await self.health.start()

    async def stop(self) -> None:
        """Finish what was begun and let go of the store."""
        await self.health.stop()
        await self._writer.stop()
        await self.topology.close()

    async def flush(self) -> None:
        """Do nothing: what was answered is in the store."""

    def get_for_inline_update(self, stream_id: str) -> Stream | None:
        """Return none: another replica may have changed it."""

    async def update(
        self, stream_id: str, change: Change[T], *, create: bool = True, draft: bool = False, heavy: bool = False
    ) -> T:
        """Change a stream; see `streamnorm.engine.ports.stream_repository.Streams`. Changes always work on a draft."""
        del draft

        def edit(entry: Entry) -> tuple[Stream, T]:
            stream = self._for_update(stream_id, entry, create=create)
            return stream, change(stream)

        if not heavy and stream_id not in self._locks:
            return cast("T", await self._writer.submit(stream_id, edit))
        async with self._locks.acquire([stream_id]):
            return cast(
                "T", await (self._update_in_thread(stream_id, edit) if heavy else self._writer.submit(stream_id, edit))
            )

    async def update_together(
        self, stream_ids: Iterable[str], change: Callable[[Mapping[str, Stream]], T], *, heavy: bool = False
    ) -> T:
        """Change several streams by one change of all; see `streamnorm.engine.ports.stream_repository.Streams`.

        Where another replica was quicker at one, what was written is put back, and all is computed anew.
        """
        each = list(stream_ids)
        async with self._locks.acquire(sorted(each)):
            while True:
                before = await self._writer.entries(each)
                drafts = {key: self._for_update(key, before[key], create=True) for key in each}
                result = await asyncio.to_thread(change, drafts) if heavy else change(drafts)
                put = await asyncio.gather(
                    *(self._writer.compare_and_set(key, before[key], drafts[key]) for key in each)
                )
                if all(put):
                    return result
                written = [key for key, done in zip(each, put, strict=True) if done]
                await self._writer.roll_back({key: (before[key], drafts[key]) for key in written})

    async def update_many(self, changes: Mapping[str, Change[T]], *, heavy: bool = False) -> dict[str, T]:
        """Change several streams; see `streamnorm.engine.ports.stream_repository.Streams`.

        All are computed before any is written. Where another replica is quicker at one, and it is refused then, those
        that were written are put back as they were, unless they have changed again meanwhile.
        """
        del heavy  # what replicas share is bounded by the store, not by the arithmetic
        async with self._locks.acquire(sorted(changes)):
            before = {key: entry for key in changes if (entry := self._writer.cached(key)) is not None}
            guessed = bool(before)
            before |= await self._writer.entries(key for key in changes if key not in before)
            after: dict[str, Stream] = {}
            results: dict[str, T] = {}
            due = list(changes)
            while due:
                try:
                    for stream_id in due:
                        stream = self._for_update(stream_id, before[stream_id], create=True)
                        results[stream_id] = changes[stream_id](stream)
                        after[stream_id] = stream
                except StreamnormError:
                    if guessed:  # then the refusal may be founded on what was true once
                        guessed, before = False, await self._writer.entries(changes)
                        continue
                    await self._writer.roll_back({key: (before[key], after[key]) for key in changes if key not in due})
                    raise
                guessed = False
                put = await asyncio.gather(*(self._writer.compare_and_set(key, before[key], after[key]) for key in due))
                due = [stream_id for stream_id, done in zip(due, put, strict=True) if not done]
                before |= await self._writer.entries(due)
        return results

    async def read(self, stream_id: str, view: Callable[[Stream], T]) -> T:
        """Inspect a stream."""

        def edit(entry: Entry) -> tuple[Stream, T]:
            if entry.stream is None:
                raise StreamNotFound(stream_id)
            return entry.stream, view(entry.stream)

        return cast("T", await self._writer.submit(stream_id, edit, fresh=True))

    async def replace(self, stream_id: str, stream: Stream) -> bool:
        """Put a whole stream in place; returns whether there was none before."""
        made: bool = await self._writer.submit(stream_id, lambda entry: (stream, entry.stream is None))
        return made

    async def delete(self, stream_id: str) -> None:
        """Discard a stream."""

        def edit(entry: Entry) -> tuple[None, None]:
            if entry.stream is None:
                raise StreamNotFound(stream_id)
            return None, None

        await self._writer.submit(stream_id, edit)

    def peek(self, stream_id: str) -> Stream | None:
        """Inspect a stream where it is remembered; it may have changed elsewhere."""
        entry = self._writer.cached(stream_id)
        return None if entry is None else entry.stream

    async def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List streams in byte order."""
        return await self._index.streams(prefix, after, limit)

    def check(self) -> None:
        """Raise the StoreError that keeps changes from being kept, if there was one a moment ago."""
        if self.health.failure is not None:
            raise self.health.failure

    def stats(self) -> RepositoryStats:
        """Return figures of how the streams are kept; commits are rounds that wrote."""
        rounds, resident = self._writer, len(self._writer.cached_entries)
        return RepositoryStats(
            resident, max(0, self.health.total - resident), 0.0, rounds.commits, rounds.commit_seconds
        )

    def _for_update(self, stream_id: str, entry: Entry, *, create: bool) -> Stream:
        if entry.stream is not None:
            return entry.stream.draft()
        if not create:
            raise StreamNotFound(stream_id)
        return Stream(self.default_plan)

    async def _update_in_thread(self, stream_id: str, edit: Callable[[Entry], tuple[Stream, T]]) -> T:
        """Do an edit in another thread."""
        for _ in range(HEAVY_TRIES):
            entry = await self._writer.entry(stream_id)
            stream, result = await asyncio.to_thread(edit, entry)
            if await self._writer.compare_and_set(stream_id, entry, stream):
                return result
        raise StoreUnavailable(f"stream {stream_id!r} is being changed by others all the time")
