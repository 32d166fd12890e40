"""Write-behind: a resident set of streams in memory, backed by a store; the `StreamRepository` of one machine.

Rules:

1. All bookkeeping happens on the event loop's thread; only heavy changes and the store's commits run in other threads.
2. No update is lost. A change either holds the stream's lock (`StreamLocks`) from before it reads the stream until its
   result is installed, or it awaits nothing between finding the stream, or none, unlocked and installing its result
   (`_is_free`, `get_for_inline_update`). So a change always replaces exactly the state it was computed from.
   Reads never wait for a lock.
3. Only clean, unlocked streams are evicted or expire; neither awaits between that check and the removal.
4. Fail closed: after a failed commit, changes are rejected until a commit succeeds.
5. A rejected change has no effect. Changes that are acknowledged after their commit work on copies (copy-on-write), and
   a failed commit rolls them back. Only that may replace a stream whose lock is held, so a change computed in another
   thread compares before it installs its result (compare-and-set), and is rejected on a conflict.
6. No response depends on state that may be rolled back: an error awaits the commit of the state it is based on. Reads
   do not: they may see a change that is not durable yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, TypeVar

from streamnorm.engine.ports.stream_repository import (
    IN_PLACE,
    IN_THREAD,
    ON_COPY,
    Durability,
    Execution,
    RepositoryStats,
)
from streamnorm.engine.streams.rulebook import Rulebook
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StoreError, StoreUnavailable, StreamnormError, StreamNotFound
from streamnorm.stores.local.resident_set import DEFAULT_MAX_RESIDENT_STREAMS, DEFAULT_MAX_STREAMS, ResidentSet
from streamnorm.stores.ruled import as_ruled
from streamnorm.stores.stream_locks import StreamLocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from streamnorm.engine.configuration.plan import Plan
    from streamnorm.engine.ports.blob_store import BlobStore
    from streamnorm.engine.ports.stream_repository import Change

T = TypeVar("T")

#: Streams discarded before control returns to the event loop.
EXPIRY_BATCH = 256
#: Streams that new rules are compared with at once: about a millisecond.
RULED_AT_ONCE = 100


class WriteBehindStreams:
    """All streams of one process.

    `max_resident` limits the resident set, the streams changed last; `max_streams` limits all. A stream that has not
    changed for `ttl` seconds is deleted; 0 disables expiry. `durability` decides which changes await their commit;
    new streams take `default_plan`; `clock` returns seconds since 1970.
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
        self.retries = False
        #: which plans streams have; may be replaced, see `apply_rules`
        self.rulebook = Rulebook(default_plan)
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._locks = StreamLocks()
        self._residents = ResidentSet(
            store,
            self._locks,
            lambda stream_id, stream: as_ruled(self.rulebook, stream_id, stream),
            durability=durability,
            max_resident=max_resident,
            max_streams=max_streams,
            clock=clock,
        )
        self._streams = self._residents.streams
        self._committer = self._residents.committer
        self.commit_inline = self._residents.commit_inline
        self._expiry: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start committing changes and, with a `ttl`, expiring idle streams."""
        self._committer.start()
        if self._ttl:
            self._expiry = asyncio.create_task(self._expire(), name="streamnorm expiry")

    async def stop(self) -> None:
        """Save all changes and close the store.

        Raises:
            StoreError: the final commit failed; unsaved changes are lost.

        """
        if self._expiry is not None:
            self._expiry.cancel()
            await asyncio.gather(self._expiry, return_exceptions=True)
        try:
            await self._committer.stop()
        finally:
            self._store.close()

    def get_for_inline_update(self, stream_id: str) -> Stream | None:
        """Return a stream, a copy or a new one, if it is unlocked and no commit must be awaited; otherwise None."""
        committer = self._committer
        if stream_id in self._locks or stream_id in committer.undo:
            return None
        if committer.waits and not committer.may_commit_inline():
            return None
        stream = self._streams.get(stream_id) or self._find_inline(stream_id)
        return stream.draft() if committer.waits and stream is not None else stream

    async def update(self, stream_id: str, change: Change[T], *, create: bool = True, how: Execution = IN_PLACE) -> T:
        """Change a stream; see `streamnorm.engine.ports.stream_repository.StreamRepository.update`."""
        if how is IN_THREAD or not self._is_free(stream_id):
            ids = (stream_id,)
            return await self._update_locked(ids, lambda drafts: change(drafts[stream_id]), create=create, how=how)
        stream = self._streams[stream_id]
        if how is ON_COPY or self._committer.must_copy(stream_id):
            stream = stream.draft()
        try:
            result = change(stream)
        except StreamnormError:
            await self._committer.founded((stream_id,))
            raise
        self._residents.install(stream_id, stream)
        await self._committer.wait_durable((stream_id,))
        return result

    async def update_many(self, changes: Mapping[str, Change[T]]) -> dict[str, T]:
        """Change several streams atomically; see `streamnorm.engine.ports.stream_repository.StreamRepository`."""

        def change(drafts: Mapping[str, Stream]) -> dict[str, T]:
            return {stream_id: changes[stream_id](draft) for stream_id, draft in drafts.items()}

        return await self.update_together(changes, change)

    async def update_together(
        self,
        stream_ids: Iterable[str],
        change: Callable[[Mapping[str, Stream]], T],
        *,
        how: Execution = ON_COPY,
    ) -> T:
        """Change several streams by one function; see `streamnorm.engine.ports.stream_repository.StreamRepository`."""
        return await self._update_locked(list(stream_ids), change, create=True, how=how)

    async def _update_locked(
        self, ids: Sequence[str], change: Callable[[Mapping[str, Stream]], T], *, create: bool, how: Execution
    ) -> T:
        """Apply a change to drafts of streams while holding their locks, then install the drafts."""
        try:
            async with self._locks.acquire(sorted(ids)):
                await self._residents.make_room(ids)
                before = {stream_id: self._residents.find(stream_id) for stream_id in ids}
                drafts = {stream_id: self._draft(stream_id, before[stream_id], create=create) for stream_id in ids}
                self._residents.check_quota(sum(stream is None for stream in before.values()))
                result = await asyncio.to_thread(change, drafts) if how is IN_THREAD else change(drafts)
                if any(self._streams.get(stream_id) is not stream for stream_id, stream in before.items()):
                    raise self._committer.failure or StoreUnavailable("the store failed meanwhile; nothing was applied")
                for stream_id, draft in drafts.items():
                    self._residents.install(stream_id, draft)
        except StreamnormError:
            await self._committer.founded(ids)
            raise
        await self._committer.wait_durable(ids)
        return result

    async def read(self, stream_id: str, view: Callable[[Stream], T]) -> T:
        """Return what `view` makes of a stream, which it must not change.

        Raises:
            StreamNotFound: there is no such stream.

        """
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._residents.load(stream_id)
            if stream is None:
                raise StreamNotFound(stream_id)
            self._residents.keep_if_room(stream_id, stream)
        return view(stream)

    async def replace(self, stream_id: str, stream: Stream) -> bool:
        """Create or replace a stream; return whether it was created."""
        async with self._locks.acquire([stream_id]):
            await self._residents.make_room([stream_id])
            created = self._residents.find(stream_id) is None
            self._residents.check_quota(int(created))
            self._residents.install(stream_id, stream)
        await self._committer.wait_durable((stream_id,))
        return created

    async def delete(self, stream_id: str) -> None:
        """Delete a stream.

        Raises:
            StreamNotFound: there is no such stream.

        """
        async with self._locks.acquire([stream_id]):
            await self._residents.make_room([stream_id])
            stream = self._residents.find(stream_id)
            if stream is None:
                await self._committer.founded((stream_id,))
                raise StreamNotFound(stream_id)
            self._committer.changed(stream_id, stream)
            self._residents.forget(stream_id)
        await self._committer.wait_durable((stream_id,))

    async def apply_rules(self, rulebook: Rulebook) -> int:
        """Replace the rulebook; see `streamnorm.engine.ports.stream_repository.StreamRepository.apply_rules`."""
        self.rulebook = rulebook
        changed = 0
        for number, stream_id in enumerate([*self._streams]):
            if number % RULED_AT_ONCE == RULED_AT_ONCE - 1:
                await asyncio.sleep(0)
            stream = self._streams.get(stream_id)
            if stream is None or as_ruled(rulebook, stream_id, stream) is stream:
                continue

            def change(draft: Stream, stream_id: str = stream_id) -> None:
                ruled, _ = rulebook.applied(stream_id, draft)
                draft.plan, draft.layout, draft.state = ruled.plan, ruled.layout, ruled.state
                draft.answered, draft.before = ruled.answered, ruled.before

            with contextlib.suppress(StreamNotFound):
                await self.update(stream_id, change, create=False, how=ON_COPY)
                changed += 1
        return changed

    def peek(self, stream_id: str) -> Stream | None:
        """Return a stream if it is resident, to be read only."""
        return self._streams.get(stream_id)

    async def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List at most `limit` streams with `prefix` and ids greater than `after` in byte order, evicted ones too."""
        return self._residents.page(prefix, after, limit)

    def check(self) -> None:
        """Raise the StoreError that prevents commits, if there is one."""
        if self._committer.failure is not None:
            raise self._committer.failure
        self._store.check()

    def stats(self) -> RepositoryStats:
        """Return the counts of resident and evicted streams, the persistence lag, and commit totals."""
        committer = self._committer
        lag = self._clock() - committer.durable_until if committer.dirty or committer.in_flight else 0.0
        resident = len(self._residents)
        evicted = max(0, self._residents.total - resident)
        return RepositoryStats(resident, evicted, lag, committer.commits, committer.commit_seconds)

    async def flush(self) -> None:
        """Save every change made so far.

        Raises:
            StoreError: the commit failed; a later flush retries it.

        """
        await self._committer.flush()

    async def expire(self) -> None:
        """Delete the streams whose last commit is more than `ttl` seconds ago."""
        idle = [""]
        while idle:
            await self._committer.wait_next_commit()
            expired = self._store.idle(self._clock() - self._ttl, EXPIRY_BATCH)
            idle = [key for key in expired if self._committer.is_persisted(key) and key not in self._locks]
            for stream_id in idle:
                self._residents.forget(stream_id)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(min(max(self._ttl / 10, 0.1), 60.0))
            with contextlib.suppress(StoreError):  # logged by the committer
                await self.expire()

    def _is_free(self, stream_id: str) -> bool:
        """Return whether a stream can be changed without an await before the result is installed."""
        return self._committer.failure is None and stream_id in self._streams and stream_id not in self._locks

    def _find_inline(self, stream_id: str) -> Stream | None:
        """Return a stream that is packed, evicted or new; None where `update` must wait for room, or refuse it."""
        residents = self._residents
        try:
            stream = residents.unpack(stream_id)
            if stream is None and residents.has_room():
                stream = residents.find(stream_id)
                if stream is None:
                    residents.check_quota(1)
                    stream = self.rulebook.new(stream_id)
        except StreamnormError:
            return None
        return stream

    def _draft(self, stream_id: str, stream: Stream | None, *, create: bool) -> Stream:
        """Return the working copy for a change: a draft of the stream, or a new stream."""
        if stream is not None:
            return stream.draft()
        if not create:
            raise StreamNotFound(stream_id)
        return self.rulebook.new(stream_id)
