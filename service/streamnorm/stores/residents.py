"""Streams in memory that rest in a store: the engine's `Streams` on one machine.

Rules:

1. All bookkeeping happens on the event loop's thread; only heavy changes and the store's commits run elsewhere.
2. A changed stream is in `_dirty` until a commit that began after the change has succeeded.
3. A stream is dropped from memory only when it is not dirty: memory first, then what is being saved, then the store.
4. While a heavy change of a stream runs, other changes of it wait their turn; looking at it never waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from typing import TYPE_CHECKING, Literal, TypeVar

from streamnorm.engine.stream import Stream
from streamnorm.errors import StoreError, StreamNotFound
from streamnorm.stores.codec import decode, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from streamnorm.engine.plan import Plan
    from streamnorm.engine.store import Store
    from streamnorm.engine.streams import Change

T = TypeVar("T")
Durability = Literal["always", "everysec", "no"]

log = logging.getLogger(__name__)

#: Streams encoded between two looks at the event loop: about 5 ms of it.
BATCH = 1024
#: With `everysec`; a commit of many streams takes some of the half second that is left of a second and a half.
FLUSH_INTERVAL = 1.0


class Residents:
    """All streams of one process."""

    def __init__(
        self,
        store: Store,
        default_plan: Plan,
        *,
        durability: Durability = "everysec",
    ) -> None:
        self.default_plan = default_plan
        self._store = store
        self._durability = durability
        self._streams: dict[str, Stream] = {}
        self._dirty: set[str] = set()
        self._saving: set[str] = set()
        self._turns: dict[str, _Turn] = {}
        self._commit: asyncio.Future[None] | None = None
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None
        self._failure: StoreError | None = None

    async def start(self) -> None:
        """Begin to keep changes as configured."""
        if self._durability != "no":
            self._writer = asyncio.create_task(self._write(), name="streamnorm writer")

    async def stop(self) -> None:
        """Save everything and let go of the store.

        Raises:
            StoreError: what is not saved is lost.

        """
        if self._writer is not None:
            async with self._flushing:  # between two commits: one that is cut off could end after a later one
                self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        try:
            await self.flush()
        finally:
            self._store.close()

    def at_hand(self, stream_id: str) -> Stream | None:
        """Give a stream in memory, where nobody works on it and no commit is to be waited for."""
        stream = self._streams.get(stream_id)
        if stream is None or stream_id in self._turns or self._durability == "always":
            return None
        self._dirty.add(stream_id)
        return stream

    async def update(
        self, stream_id: str, change: Change[T], *, create: bool = True, draft: bool = False, heavy: bool = False
    ) -> T:
        """Change a stream; see `streamnorm.engine.streams.Streams`."""
        if heavy or stream_id in self._turns:
            async with self._turn([stream_id]):
                stream = self._to_change(stream_id, create=create, draft=draft or heavy)
                result = await asyncio.to_thread(change, stream) if heavy else change(stream)
                self._install(stream_id, stream)
        else:
            stream = self._to_change(stream_id, create=create, draft=draft)
            result = change(stream)
            self._install(stream_id, stream)
        await self._kept()
        return result

    async def update_many(self, changes: Mapping[str, Change[T]], *, heavy: bool = False) -> dict[str, T]:
        """Change several streams as a whole; see `streamnorm.engine.streams.Streams`."""

        def change(drafts: Mapping[str, Stream]) -> dict[str, T]:
            return {stream_id: changes[stream_id](draft) for stream_id, draft in drafts.items()}

        return await self.update_together(changes, change, heavy=heavy)

    async def update_together(
        self, stream_ids: Iterable[str], change: Callable[[Mapping[str, Stream]], T], *, heavy: bool = False
    ) -> T:
        """Change several streams by one change of all; see `streamnorm.engine.streams.Streams`."""
        each = list(stream_ids)
        async with self._turn(sorted(each)):
            drafts = {stream_id: self._to_change(stream_id, create=True, draft=True) for stream_id in each}
            result = await asyncio.to_thread(change, drafts) if heavy else change(drafts)
            for stream_id, draft in drafts.items():
                self._install(stream_id, draft)
        await self._kept()
        return result

    async def read(self, stream_id: str, view: Callable[[Stream], T]) -> T:
        """Look at a stream."""
        stream = self._find(stream_id)
        if stream is None:
            raise StreamNotFound(stream_id)
        return view(stream)

    async def replace(self, stream_id: str, stream: Stream) -> bool:
        """Put a whole stream in place; tells whether there was none before."""
        async with self._turn([stream_id]):
            made = self._find(stream_id) is None
            self._install(stream_id, stream)
        await self._kept()
        return made

    async def delete(self, stream_id: str) -> None:
        """Forget a stream."""
        async with self._turn([stream_id]):
            if self._find(stream_id) is None:
                raise StreamNotFound(stream_id)
            del self._streams[stream_id]
            self._dirty.add(stream_id)
        await self._kept()

    async def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List streams in byte order; those in memory and those at rest."""
        unsaved = self._dirty | self._saving
        fresh = (key for key in unsaved if key in self._streams and key.startswith(prefix) and key > after)
        resting = self._store.page(prefix, after, limit + len(unsaved))
        ids = sorted({*heapq.nsmallest(limit, fresh), *resting})
        found: list[tuple[str, Stream]] = []
        for stream_id in ids:
            stream = self._streams.get(stream_id) or self._resting(stream_id)
            if stream is not None:
                found.append((stream_id, stream))
            if len(found) == limit:
                break
        return found

    def check(self) -> None:
        """Raise the StoreError that keeps changes from being kept, if there is one."""
        if self._failure is not None:
            raise self._failure
        self._store.check()

    async def flush(self) -> None:
        """Save every change made so far.

        Raises:
            StoreError: the changes stay to be saved by a later flush.

        """
        async with self._flushing:
            commit, self._commit = self._commit, None
            due = list(self._dirty)
            try:
                for start in range(0, len(due), BATCH):
                    await self._save(due[start : start + BATCH])
            except StoreError as error:
                if self._failure is None:
                    log.error("readings are not kept on disk: %s", error)  # noqa: TRY400 - the message says it all
                self._failure = error
                if commit is not None:
                    commit.set_exception(error)
                    commit.exception()  # who waited may have gone away
                raise
            if self._failure is not None:
                log.info("readings are kept on disk again")
            self._failure = None
            if commit is not None:
                commit.set_result(None)

    async def _save(self, batch: Iterable[str]) -> None:
        changes: dict[str, bytes | None] = {}
        for stream_id in batch:
            stream = self._streams.get(stream_id)
            changes[stream_id] = encode(stream) if stream is not None else None
        self._saving = set(changes)
        self._dirty -= self._saving
        try:
            await asyncio.shield(asyncio.to_thread(self._store.save, changes))
        except BaseException:
            self._dirty |= self._saving
            raise
        finally:
            self._saving = set()

    async def _write(self) -> None:
        """Commit again and again: at once and in groups for `always`, else every second."""
        while True:
            if self._durability == "always":
                await self._wake.wait()
                self._wake.clear()
            else:
                await asyncio.sleep(FLUSH_INTERVAL)
            with contextlib.suppress(StoreError):  # told by flush, and by check
                await self.flush()

    async def _kept(self) -> None:
        """Wait, with `always`, for a commit that begins after now."""
        if self._durability == "always":
            if self._commit is None:
                self._commit = asyncio.get_running_loop().create_future()
            self._wake.set()
            await asyncio.shield(self._commit)

    def _find(self, stream_id: str) -> Stream | None:
        """Look in memory, then in the store; what is found there moves in."""
        stream = self._streams.get(stream_id) or self._resting(stream_id)
        if stream is not None:
            self._streams[stream_id] = stream
        return stream

    def _resting(self, stream_id: str) -> Stream | None:
        if stream_id in self._dirty or stream_id in self._saving:
            return None  # deleted, and the store does not know yet
        blob = self._store.load(stream_id)
        return None if blob is None else decode(stream_id, blob)

    def _to_change(self, stream_id: str, *, create: bool, draft: bool) -> Stream:
        stream = self._find(stream_id)
        if stream is not None:
            return stream.draft() if draft else stream
        if not create:
            raise StreamNotFound(stream_id)
        return Stream(self.default_plan)

    def _install(self, stream_id: str, stream: Stream) -> None:
        self._streams[stream_id] = stream
        self._dirty.add(stream_id)

    @contextlib.asynccontextmanager
    async def _turn(self, stream_ids: Iterable[str]) -> AsyncIterator[None]:
        """Hold the turn of streams, given in byte order so that no two holders wait for each other."""
        async with contextlib.AsyncExitStack() as stack:
            for stream_id in stream_ids:
                turn = self._turns.setdefault(stream_id, _Turn())
                turn.holders += 1
                stack.callback(self._leave, stream_id, turn)
                await stack.enter_async_context(turn.lock)
            yield

    def _leave(self, stream_id: str, turn: _Turn) -> None:
        turn.holders -= 1
        if not turn.holders:
            del self._turns[stream_id]


class _Turn:
    """Who works on a stream alone, and how many want to."""

    __slots__ = ("holders", "lock")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.holders = 0
