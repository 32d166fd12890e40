"""Streams that several replicas of the service share in Valkey or Redis: the `StreamRepository` of many machines.

Rules:

1. A change is acknowledged when the store has it, and with durability `always` some of the store's replicas, too.
2. A replica holds no state of its own: its cache only saves reads, and every write is a compare-and-set.
3. While a heavy change of a stream runs, other changes of it on the same replica wait for the stream's lock; changes by
   other replicas may overtake it, and it is then retried.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

from streamnorm.engine.ports.stream_repository import IN_PLACE, IN_THREAD, ON_COPY, Execution, RepositoryStats
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StoreUnavailable, StreamnormError, StreamNotFound
from streamnorm.stores.redis.cas_writer import CasWriter
from streamnorm.stores.redis.health import HealthMonitor
from streamnorm.stores.redis.keyspace import Keyspace
from streamnorm.stores.redis.stream_index import StreamIndex
from streamnorm.stores.redis.topology import Topology
from streamnorm.stores.ruled import as_ruled
from streamnorm.stores.stream_locks import StreamLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.ports.stream_repository import Change
    from streamnorm.stores.redis.cas_batch import Entry
    from streamnorm.stores.redis.url import RedisURL

T = TypeVar("T")

#: Streams cached; one of 8 features takes 1.5 kB of memory.
DEFAULT_MAX_REMEMBERED = 100_000
#: Attempts at a change in another thread while other replicas overtake it.
HEAVY_TRIES = 10


class SharedStreams:
    """All streams of a shared store; a `streamnorm.engine.ports.stream_repository.StreamRepository`.

    `address` names the store and `prefix` the beginning of its keys. `replicas` of the store must have a change before
    it is acknowledged. `max_remembered` streams are cached. A stream that has not changed for `ttl` seconds is
    deleted; 0 disables expiry. New streams take `default_plan`.
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
        self.retries = True
        #: which plans streams have
        self.rulebook = Rulebook(default_plan)
        self.topology = Topology(address)
        self.keys = Keyspace(prefix)
        self._index = StreamIndex(self.topology, self.keys)
        self.health = HealthMonitor(self.topology, self._index)
        self._writer = CasWriter(
            self.topology, self.keys, keep=round(ttl * 1000), replicas=replicas, max_remembered=max_remembered
        )
        self._locks = StreamLocks()

    async def start(self) -> None:
        """Start the health checks."""
        await self.health.start()

    async def stop(self) -> None:
        """Finish the pending changes and close the connections."""
        await self.health.stop()
        await self._writer.stop()
        await self.topology.close()

    async def flush(self) -> None:
        """Do nothing: acknowledged changes are in the store."""

    def get_for_inline_update(self, stream_id: str) -> Stream | None:
        """Return None: another replica may have changed the stream."""

    def commit_inline(self, stream_id: str, stream: Stream) -> None:
        """Do nothing: no stream is got for an inline update."""

    async def update(self, stream_id: str, change: Change[T], *, create: bool = True, how: Execution = IN_PLACE) -> T:
        """Change a stream, always on a copy; see `streamnorm.engine.ports.stream_repository.StreamRepository`."""
        heavy = how is IN_THREAD

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
        self,
        stream_ids: Iterable[str],
        change: Callable[[Mapping[str, Stream]], T],
        *,
        how: Execution = ON_COPY,
    ) -> T:
        """Change several streams by one function; see `streamnorm.engine.ports.stream_repository.StreamRepository`.

        When another replica has changed one of them meanwhile, what was written is rolled back and all is retried. What
        cannot be rolled back, because a later change rests on it, has been changed, and is not changed again.
        """
        ids = list(stream_ids)
        kept: dict[str, Entry] = {}
        async with self._locks.acquire(sorted(ids)):
            while True:
                due = [key for key in ids if key not in kept]
                before = await self._writer.entries(due) | kept
                drafts = {key: self._for_update(key, before[key], create=True) for key in ids}
                result = await asyncio.to_thread(change, drafts) if how is IN_THREAD else change(drafts)
                succeeded = await asyncio.gather(
                    *(self._writer.compare_and_set(key, before[key], drafts[key]) for key in due)
                )
                if all(succeeded):
                    return result
                written = {key: (before[key], drafts[key]) for key, done in zip(due, succeeded, strict=True) if done}
                kept |= {key: before[key] for key in await self._writer.roll_back(written)}

    async def update_many(self, changes: Mapping[str, Change[T]]) -> dict[str, T]:
        """Change several streams; see `streamnorm.engine.ports.stream_repository.StreamRepository`.

        All changes are computed before any is written. If a change is retried because of a conflict and then fails,
        those already written are rolled back, except streams that have changed again since.
        """
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
                    if guessed:  # the error may be due to a stale cache entry
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
        """Return what `view` makes of a stream, which it must not change.

        Raises:
            StreamNotFound: there is no such stream.

        """

        def edit(entry: Entry) -> tuple[Stream, T]:
            if entry.stream is None:
                raise StreamNotFound(stream_id)
            return entry.stream, view(as_ruled(self.rulebook, stream_id, entry.stream))

        return cast("T", await self._writer.submit(stream_id, edit, fresh=True))

    async def replace(self, stream_id: str, stream: Stream) -> bool:
        """Create or replace a stream; return whether it was created."""
        created: bool = await self._writer.submit(stream_id, lambda entry: (stream, entry.stream is None))
        return created

    async def delete(self, stream_id: str) -> None:
        """Delete a stream.

        Raises:
            StreamNotFound: there is no such stream.

        """

        def edit(entry: Entry) -> tuple[None, None]:
            if entry.stream is None:
                raise StreamNotFound(stream_id)
            return None, None

        await self._writer.submit(stream_id, edit)

    async def apply_rules(self, rulebook: Rulebook) -> int:
        """Replace the rulebook; every stream is configured anew with its next use."""
        self.rulebook = rulebook
        return 0

    def peek(self, stream_id: str) -> Stream | None:
        """Return a stream if it is cached, to be read only; another replica may have changed it."""
        entry = self._writer.cached(stream_id)
        return None if entry is None else entry.stream

    async def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List at most `limit` streams with `prefix` and ids greater than `after`, in byte order."""
        found = await self._index.streams(prefix, after, limit)
        return [(stream_id, as_ruled(self.rulebook, stream_id, stream)) for stream_id, stream in found]

    def check(self) -> None:
        """Raise the StoreError of the last health check, if it failed."""
        if self.health.failure is not None:
            raise self.health.failure

    def stats(self) -> RepositoryStats:
        """Return the counts of cached and other streams, and commit totals; a commit is a round that wrote."""
        writer, resident = self._writer, len(self._writer.cached_entries)
        return RepositoryStats(
            resident, max(0, self.health.total - resident), 0.0, writer.commits, writer.commit_seconds
        )

    def _for_update(self, stream_id: str, entry: Entry, *, create: bool) -> Stream:
        if entry.stream is not None:
            return as_ruled(self.rulebook, stream_id, entry.stream.draft())
        if not create:
            raise StreamNotFound(stream_id)
        return self.rulebook.new(stream_id)

    async def _update_in_thread(self, stream_id: str, edit: Callable[[Entry], tuple[Stream, T]]) -> T:
        """Apply an edit in another thread, retrying on conflicts."""
        for _ in range(HEAVY_TRIES):
            entry = await self._writer.entry(stream_id)
            stream, result = await asyncio.to_thread(edit, entry)
            if await self._writer.compare_and_set(stream_id, entry, stream):
                return result
        raise StoreUnavailable(f"stream {stream_id!r} is being changed by others all the time")
