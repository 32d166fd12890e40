"""Streams in memory that rest in a store: the engine's `StreamRepository` on one machine.

Rules:

1. All bookkeeping happens on the event loop's thread; only heavy changes and the store's commits run elsewhere.
2. No update is lost. A change of a stream either holds the stream's lock (`Turns`) from before its first look at the
   stream until its result is installed; or it awaits nothing between finding the stream in memory, with nobody holding
   or waiting for its lock, and installing its result (`_is_free`, `at_hand`). So whatever a change was computed from is
   what it replaces: nothing can be installed in between. Looking at a stream never waits for a lock.
3. Only streams that the store has as they are, and whose lock nobody holds or waits for, are evicted or expire; both
   await nothing between that check and the removal.
4. What cannot be kept is not taken: once a commit has failed, changes are refused until one succeeds.
5. What was refused has not happened. Changes that are answered after their commit work on copies (copy-on-write), and a
   failed commit puts back what was before them. That is the one thing that may replace a stream whose lock is held, so
   who computed elsewhere meanwhile compares before installing (compare-and-set), and is refused.
6. Nothing is told that rests on what may be rolled back: refusals wait for the commit of what they are founded on.
   Looks do not: they may see a change that is not kept yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from streamnorm.engine.ports.stream_repository import RepositoryStats
from streamnorm.engine.stream import Stream
from streamnorm.errors import StoreError, StoreUnavailable, StreamnormError, StreamNotFound, TooManyStreams
from streamnorm.stores.codec import decode
from streamnorm.stores.local.group_commit import Durability, GroupCommitter
from streamnorm.stores.stream_locks import StreamLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from streamnorm.engine.plan import Plan
    from streamnorm.engine.ports.blob_store import BlobStore
    from streamnorm.engine.ports.stream_repository import Change

T = TypeVar("T")

#: Of 8 features a stream takes 1.7 kB of memory: 170 MB for as many as these.
DEFAULT_MAX_RESIDENT_STREAMS = 100_000
#: Of 8 features a stream takes 1.4 kB of disk: 14 GB for as many as these.
DEFAULT_MAX_STREAMS = 10_000_000
#: One of so many streams in memory is put to rest at once, so that the search for idle ones is made seldom.
EVICTION_SHARE = 16
#: Streams forgotten between two looks at the event loop.
EXPIRY_BATCH = 256


class WriteBehindStreams:
    """All streams of one process.

    `max_resident` streams are in memory, those changed last; `max_streams` are there at all. One that has not changed
    for `ttl` seconds is forgotten; 0 keeps all.
    """

    def __init__(
        self,
        store: BlobStore,
        default_plan: Plan,
        *,
        durability: Durability = "everysec",
        max_resident: int = DEFAULT_MAX_RESIDENT_STREAMS,
        max_streams: int = DEFAULT_MAX_STREAMS,
        ttl: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.default_plan = default_plan
        self._store = store
        self._max_resident = max_resident
        self._max_streams = max_streams
        self._ttl = ttl
        self._clock = clock
        self._streams: dict[str, Stream] = {}
        self._committer = GroupCommitter(store, self._streams, durability, clock, self._roll_back)
        self._locks = StreamLocks()
        self._total = store.count()
        self._expiry: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to keep changes as configured."""
        self._committer.start()
        if self._ttl:
            self._expiry = asyncio.create_task(self._expire(), name="streamnorm expiry")

    async def stop(self) -> None:
        """Save everything and let go of the store.

        Raises:
            StoreError: what is not saved is lost.

        """
        if self._expiry is not None:
            self._expiry.cancel()
            await asyncio.gather(self._expiry, return_exceptions=True)
        try:
            await self._committer.stop()
        finally:
            self._store.close()

    def get_for_inline_update(self, stream_id: str) -> Stream | None:
        """Return a stream in memory, where nobody works on it and no commit is to be waited for."""
        stream = self._streams.get(stream_id)
        keeper = self._committer
        if stream is None or keeper.waits or stream_id in self._locks or stream_id in keeper.undo:
            return None
        keeper.dirty.add(stream_id)
        return stream

    async def update(
        self, stream_id: str, change: Change[T], *, create: bool = True, draft: bool = False, heavy: bool = False
    ) -> T:
        """Change a stream; see `streamnorm.engine.ports.stream_repository.Streams`."""
        if heavy or not self._is_free(stream_id):
            each = (stream_id,)
            return await self._update_locked(each, lambda drafts: change(drafts[stream_id]), create=create, heavy=heavy)
        stream = self._streams[stream_id]
        if draft or self._committer.must_copy(stream_id):
            stream = stream.draft()
        try:
            result = change(stream)
        except StreamnormError:
            await self._committer.founded((stream_id,))
            raise
        self._install(stream_id, stream)
        await self._committer.wait_durable((stream_id,))
        return result

    async def update_many(self, changes: Mapping[str, Change[T]], *, heavy: bool = False) -> dict[str, T]:
        """Change several streams as a whole; see `streamnorm.engine.ports.stream_repository.Streams`."""

        def change(drafts: Mapping[str, Stream]) -> dict[str, T]:
            return {stream_id: changes[stream_id](draft) for stream_id, draft in drafts.items()}

        return await self.update_together(changes, change, heavy=heavy)

    async def update_together(
        self, stream_ids: Iterable[str], change: Callable[[Mapping[str, Stream]], T], *, heavy: bool = False
    ) -> T:
        """Change several streams by one change of all; see `streamnorm.engine.ports.stream_repository.Streams`."""
        return await self._update_locked(list(stream_ids), change, create=True, heavy=heavy)

    async def _update_locked(
        self, each: Sequence[str], change: Callable[[Mapping[str, Stream]], T], *, create: bool, heavy: bool
    ) -> T:
        """Change drafts of streams while holding their locks, and install them."""
        try:
            async with self._locks.acquire(sorted(each)):
                await self._make_room(each)
                before = {stream_id: self._find(stream_id) for stream_id in each}
                drafts = {stream_id: self._draft(stream_id, before[stream_id], create=create) for stream_id in each}
                self._check_quota(sum(stream is None for stream in before.values()))
                result = await asyncio.to_thread(change, drafts) if heavy else change(drafts)
                if any(self._streams.get(stream_id) is not stream for stream_id, stream in before.items()):
                    raise self._committer.failure or StoreUnavailable("the store failed meanwhile; nothing was applied")
                for stream_id, draft in drafts.items():
                    self._install(stream_id, draft)
        except StreamnormError:
            await self._committer.founded(each)
            raise
        await self._committer.wait_durable(each)
        return result

    async def read(self, stream_id: str, view: Callable[[Stream], T]) -> T:
        """Inspect a stream."""
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._load(stream_id)
            if stream is None:
                raise StreamNotFound(stream_id)
            if len(self._streams) < self._max_resident or self._evict(1):
                self._streams[stream_id] = stream
        return view(stream)

    async def replace(self, stream_id: str, stream: Stream) -> bool:
        """Put a whole stream in place; returns whether there was none before."""
        async with self._locks.acquire([stream_id]):
            await self._make_room([stream_id])
            made = self._find(stream_id) is None
            self._check_quota(int(made))
            self._install(stream_id, stream)
        await self._committer.wait_durable((stream_id,))
        return made

    async def delete(self, stream_id: str) -> None:
        """Discard a stream."""
        async with self._locks.acquire([stream_id]):
            await self._make_room([stream_id])
            stream = self._find(stream_id)
            if stream is None:
                await self._committer.founded((stream_id,))
                raise StreamNotFound(stream_id)
            self._committer.changed(stream_id, stream)
            self._forget(stream_id)
        await self._committer.wait_durable((stream_id,))

    def peek(self, stream_id: str) -> Stream | None:
        """Inspect a stream where it is in memory."""
        return self._streams.get(stream_id)

    async def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List streams in byte order; those in memory and those at rest."""
        unsaved = self._committer.dirty | self._committer.in_flight
        fresh = (key for key in unsaved if key in self._streams and key.startswith(prefix) and key > after)
        gone = sum(key not in self._streams for key in unsaved)
        resting = self._store.page(prefix, after, limit + gone)
        ids = sorted({*heapq.nsmallest(limit, fresh), *resting})
        found: list[tuple[str, Stream]] = []
        for stream_id in ids:
            stream = self._streams.get(stream_id) or self._load(stream_id)
            if stream is not None:
                found.append((stream_id, stream))
            if len(found) == limit:
                break
        return found

    def check(self) -> None:
        """Raise the StoreError that keeps changes from being kept, if there is one."""
        if self._committer.failure is not None:
            raise self._committer.failure
        self._store.check()

    def stats(self) -> RepositoryStats:
        """Return figures of how the streams are kept."""
        keeper = self._committer
        lag = self._clock() - keeper.durable_until if keeper.dirty or keeper.in_flight else 0.0
        resting = max(0, self._total - len(self._streams))
        return RepositoryStats(len(self._streams), resting, lag, keeper.commits, keeper.commit_seconds)

    async def flush(self) -> None:
        """Save every change made so far.

        Raises:
            StoreError: the changes stay to be saved by a later flush.

        """
        await self._committer.flush()

    async def expire(self) -> None:
        """Discard the streams that have not changed for `ttl` seconds, as the times of their commits tell."""
        idle = [""]
        while idle:
            await self._committer.wait_next_commit()
            found = self._store.idle(self._clock() - self._ttl, EXPIRY_BATCH)
            idle = [key for key in found if self._committer.is_persisted(key) and key not in self._locks]
            for stream_id in idle:
                self._forget(stream_id)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(min(max(self._ttl / 10, 0.1), 60.0))
            with contextlib.suppress(StoreError):  # told by the keeper
                await self.expire()

    async def _make_room(self, stream_ids: Collection[str]) -> None:
        """Make room in memory for streams; refuse where changes still cannot be kept."""
        if self._committer.failure is not None:
            await self._committer.wait_next_commit()
        wanted = sum(stream_id not in self._streams for stream_id in stream_ids)
        while wanted and len(self._streams) > max(0, self._max_resident - wanted):
            if not self._evict(wanted):
                if not self._committer.dirty and not self._committer.in_flight:
                    break  # all are being worked on
                await self._committer.wait_next_commit()

    def _evict(self, wanted: int) -> bool:
        """Put streams to rest that have not changed for long; returns whether there were any."""
        idle = (key for key in self._streams if self._committer.is_persisted(key) and key not in self._locks)
        found = list(islice(idle, max(wanted, len(self._streams) // EVICTION_SHARE)))
        for stream_id in found:
            del self._streams[stream_id]
        return bool(found)

    def _find(self, stream_id: str) -> Stream | None:
        """Look in memory, then in the store; what is found there moves in."""
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._load(stream_id)
            if stream is not None:
                self._streams[stream_id] = stream
        return stream

    def _load(self, stream_id: str) -> Stream | None:
        if not self._committer.is_persisted(stream_id):
            return None  # deleted, and the store does not know yet
        blob = self._store.load(stream_id)
        return None if blob is None else decode(stream_id, blob)

    def _is_free(self, stream_id: str) -> bool:
        """Return whether a stream may be changed here and now, without an await before the result is installed."""
        return self._committer.failure is None and stream_id in self._streams and stream_id not in self._locks

    def _draft(self, stream_id: str, stream: Stream | None, *, create: bool) -> Stream:
        """Return what a change works on: a copy of the stream, or a new one."""
        if stream is not None:
            return stream.draft()
        if not create:
            raise StreamNotFound(stream_id)
        return Stream(self.default_plan)

    def _check_quota(self, new: int) -> None:
        if new and self._total + new > self._max_streams:
            raise TooManyStreams(self._total + new, self._max_streams)

    def _install(self, stream_id: str, stream: Stream) -> None:
        before = self._streams.get(stream_id)
        self._committer.changed(stream_id, before)
        self._total += before is None
        self._streams[stream_id] = stream

    def _forget(self, stream_id: str) -> None:
        self._streams.pop(stream_id, None)
        self._total -= 1
        self._committer.dirty.add(stream_id)

    def _roll_back(self, before: Mapping[str, Stream | None]) -> None:
        """Put streams in place as they were before changes that could not be kept."""
        for stream_id, stream in before.items():
            self._total += (stream is not None) - (stream_id in self._streams)
            if stream is None:
                self._streams.pop(stream_id, None)
            else:
                self._streams[stream_id] = stream
