"""Group commit: writes changed streams to the store in consecutive commits.

Rules:

1. A changed stream is in `dirty` until a commit that began after the change has succeeded; meanwhile in `saving`.
2. One commit at a time, and none is cut off: what a later one saves must not be overtaken by an earlier one.
3. Where commits cannot keep up with `everysec`, `behind` says so, and answers wait for them: then they keep up.
4. Once a commit has failed, `failure` says why until one succeeds; it is tried again and again.
5. What waited for a commit that failed is told so and rolled back (`undo_log`): it has not happened. The
   store may have it all the same, or a part, so a stream that was rolled back is saved again as it was before.
6. With `always` a commit is one transaction; else one a batch, for nobody waits for most of what it saves.
7. With `always` a change that comes alone is committed on the event loop's thread, while that is quick: by way of a
   task and another thread it takes three times as long. Another one in the same turn of the loop waits for a commit.
8. `dirty` and `streams` are shared with who made the keeper: they are changed in place, never replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from streamnorm.engine.ports.stream_repository import Durability
from streamnorm.errors import StoreError
from streamnorm.stores.codec import encode
from streamnorm.stores.local.undo_log import UndoLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence

    from streamnorm.engine.ports.blob_store import BlobStore
    from streamnorm.engine.streams.stream import Stream

log = logging.getLogger(__name__)

#: Streams encoded before control returns to the event loop: about 5 ms.
BATCH = 1024
#: Seconds from the start of one commit to the start of the next, with `everysec`. A crash loses at most this interval
#: plus the duration of a commit.
FLUSH_INTERVAL = 0.75
#: Seconds that a commit may take before backpressure applies; the remainder of 1.5 s is reserved for finishing it.
SLOW_COMMIT = 0.25
#: Seconds that the last commit took at most if the next one may be made on the event loop's thread.
QUICK_COMMIT = 0.002


class GroupCommitter:
    """Saves the changed ones of `streams`, and keeps that dictionary in the order of their last commits.

    `store` receives the commits; `durability` decides when changes are committed and whether they are awaited; `clock`
    returns seconds since 1970. `roll_back` receives the streams to restore, by id; None where there was no stream.
    `pack` packs some of the streams that were saved, and returns whether there are more.
    """

    def __init__(
        self,
        store: BlobStore,
        streams: dict[str, Stream],
        durability: Durability,
        clock: Callable[[], float],
        roll_back: Callable[[Mapping[str, Stream | None]], None],
        *,
        pack: Callable[[], bool],
    ) -> None:
        self._store = store
        self._streams = streams
        self._durability = durability
        self._clock = clock
        self._roll_back = roll_back
        self._pack = pack
        self.dirty: set[str] = set()
        self.in_flight: set[str] = set()
        #: the streams with changes that are not acknowledged yet
        self.undo = UndoLog()
        self.failure: StoreError | None = None
        self.backpressure = False
        #: whether every change is acknowledged only after its commit
        self.waits = durability == "always"
        #: every change before this time is durable
        self.durable_until = clock()
        self.commits = 0
        self.commit_seconds = 0.0
        self._commit: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None
        #: whether the last commit was quick, and whether one was made inline in this turn of the event loop
        self._quick = self._committed_inline = False

    def start(self) -> None:
        """Start the commit loop."""
        self._writer = asyncio.create_task(self._run(), name="streamnorm writer")

    async def stop(self) -> None:
        """Stop the commit loop after a final commit.

        Raises:
            StoreError: the final commit failed; unsaved changes are lost.

        """
        if self._writer is not None:
            async with self._flushing:
                self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        await self._flush()

    def must_copy(self, stream_id: str) -> bool:
        """Return whether the next change of a stream must be made on a copy, so that it can be rolled back."""
        return (self.waits or stream_id in self.undo) and self.undo.must_copy(stream_id)

    def changed(self, stream_id: str, before: Stream | None) -> None:
        """Record that a stream changes from the state `before`; None where there was no stream."""
        if self.waits or stream_id in self.undo:
            self.undo.record(stream_id, before)
        self.dirty.add(stream_id)

    def may_commit_inline(self) -> bool:
        """Return whether a change of one stream that must be durable may be committed by `commit_inline`."""
        alone = not (self._committed_inline or self.dirty or self.in_flight or self.undo or self._commit)
        return alone and self._quick and self._durability == "always" and self.failure is None

    def commit_inline(self, stream_id: str, stream: Stream) -> None:
        """Commit a changed stream, which is put in place then; only where it `may_commit_inline`.

        Raises:
            StoreError: the commit failed.

        """
        self._committed_inline = True
        asyncio.get_running_loop().call_soon(self._begin_turn)
        now, began = self._clock(), time.perf_counter()
        self._store.save({stream_id: encode(stream)})
        self._count_commit(began)
        self.durable_until = now
        self._move_last((stream_id,))
        if not self.commits % BATCH:
            self._wake.set()  # only behind a commit of its own the writer packs streams

    def _begin_turn(self) -> None:
        self._committed_inline = False

    def _count_commit(self, began: float) -> None:
        """Count a commit that began at a time of `perf_counter`."""
        took = time.perf_counter() - began
        self.commits += 1
        self.commit_seconds += took
        self._quick = took < QUICK_COMMIT

    def is_persisted(self, stream_id: str) -> bool:
        """Return whether the persisted state of a stream is current."""
        return stream_id not in self.dirty and stream_id not in self.in_flight

    async def wait_durable(self, stream_ids: Collection[str]) -> None:
        """Wait until the changes made so far to these streams are as durable as configured.

        Raises:
            StoreError: the commit failed; the changes are rolled back.

        """
        if self.waits or (self.undo and not self.undo.keys().isdisjoint(stream_ids)):
            await self.wait_next_commit()

    async def founded(self, stream_ids: Collection[str]) -> None:
        """Wait until the observed state of these streams can no longer be rolled back.

        Raises:
            StoreError: the state was rolled back.

        """
        if self.undo and not self.undo.keys().isdisjoint(stream_ids):
            await self.wait_next_commit()

    async def wait_next_commit(self) -> None:
        """Wait for a commit that has not begun yet.

        Raises:
            StoreError: the commit failed.

        """
        if self._commit is None:
            self._commit = asyncio.get_running_loop().create_future()
            if self._durability == "always" and not self.in_flight:
                self.durable_until = self._clock()
        self._wake.set()
        await asyncio.shield(self._commit)

    async def flush(self) -> None:
        """Save every change made so far; cancelling the caller does not cancel the commit.

        Raises:
            StoreError: the commit failed; a later flush retries it.

        """
        if self._writer is None or self._writer.done():
            await self._flush()
        else:
            await self.wait_next_commit()

    async def _flush(self) -> None:
        async with self._flushing, self._backpressure_when_slow():
            commit, self._commit = self._commit, None
            now, began = self._clock(), time.perf_counter()
            due, at_start = list(self.dirty), self.undo.begin(self._streams)
            try:
                await self._save_all(due)
            except StoreError as error:
                self._record_failure(error, commit)
                raise
            except Exception as error:
                log.exception("the store failed")
                failure = StoreError("the store failed, the log of the service has the details")
                self._record_failure(failure, commit)
                raise failure from error
            if self.failure is not None:
                log.info("readings are persisted again")
            self.failure = None
            self.undo.succeed(at_start)
            self.durable_until = now
            if due:
                self._count_commit(began)
            if commit is not None:
                commit.set_result(None)

    @contextlib.asynccontextmanager
    async def _backpressure_when_slow(self) -> AsyncIterator[None]:
        """Apply backpressure from the moment a commit takes too long until it ends."""
        late = None
        if self._durability == "everysec":
            late = asyncio.get_running_loop().call_later(SLOW_COMMIT, self._fall_behind)
        try:
            yield
        finally:
            if late is not None:
                late.cancel()
            self.backpressure = False
            self.waits = self._durability == "always" or self.failure is not None

    def _fall_behind(self) -> None:
        self.backpressure = self.waits = True

    def _record_failure(self, error: StoreError, commit: asyncio.Future[None] | None) -> None:
        if self.failure is None:
            log.error("readings are rejected, they cannot be persisted: %s", error)
        self.failure = error
        self.waits = True
        before = self.undo.fail()
        self._roll_back(before)
        self.dirty.update(before)
        failed = [commit]
        if before:  # changes that await the next commit may be based on what is rolled back
            failed.append(self._commit)
            self._commit = None
        for waited_for in failed:
            if waited_for is not None:
                waited_for.set_exception(error)
                waited_for.exception()  # mark as retrieved: the waiter may have been cancelled

    async def _save_all(self, due: Sequence[str]) -> None:
        if not due and self.failure is not None:
            await asyncio.to_thread(self._store.check)  # there is no change to probe the store with
        size = max(len(due), 1) if self._durability == "always" else BATCH
        for start in range(0, len(due), size):
            await self._save(due[start : start + size])

    async def _save(self, batch: Sequence[str]) -> None:
        streams = {stream_id: self._streams.get(stream_id) for stream_id in batch}
        self.in_flight = set(batch)
        self.dirty -= self.in_flight
        try:
            changes = await _encoded(streams)
            await asyncio.shield(asyncio.to_thread(self._store.save, changes))
        except BaseException:
            self.dirty |= self.in_flight
            raise
        finally:
            self.in_flight = set()
        self._move_last(batch)

    def _move_last(self, stream_ids: Iterable[str]) -> None:
        """Make streams the last ones in the order of commits; others may have been deleted meanwhile."""
        for stream_id in stream_ids:
            stream = self._streams.pop(stream_id, None)
            if stream is not None:
                self._streams[stream_id] = stream

    async def _run(self) -> None:
        """Commit when woken; with `everysec`, and after a failure, also at regular intervals."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            by_time = self._durability == "everysec" or self.failure is not None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(began + FLUSH_INTERVAL if by_time else None):
                    await self._wake.wait()
            self._wake.clear()
            began = loop.time()
            with contextlib.suppress(StoreError):  # recorded by _record_failure
                await self._flush()
            try:
                while self._pack():  # noqa: ASYNC110 - it is the others' turn; there is nothing to wait for
                    await asyncio.sleep(0)
            except Exception:  # want of memory: commits go on
                log.exception("streams cannot be packed")


async def _encoded(streams: Mapping[str, Stream | None]) -> dict[str, bytes | None]:
    """Encode streams, yielding to the event loop after each batch; copy-on-write keeps them unchanged meanwhile."""
    changes: dict[str, bytes | None] = {}
    for number, (stream_id, stream) in enumerate(streams.items()):
        if number and not number % BATCH:
            await asyncio.sleep(0)
        changes[stream_id] = None if stream is None else encode(stream)
    return changes
