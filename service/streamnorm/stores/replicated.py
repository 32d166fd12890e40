"""Streams that several replicas of the service share in Valkey or Redis: the engine's `Streams` on many machines.

Rules:

1. A change is answered when the store has it, and with durability `always` some of the store's replicas too.
2. Nothing that cannot be had from the store is kept here: what is remembered saves reading, and is compared when set.
3. While a heavy change of a stream runs here, other changes of it wait their turn here; elsewhere they may overtake it,
   then it is done again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar, cast

from streamnorm.engine.stream import Stream
from streamnorm.engine.streams import Vitals
from streamnorm.errors import StoreUnavailable, StreamnormError, StreamNotFound
from streamnorm.stores.redis.keyspace import Keyspace
from streamnorm.stores.redis.listing import Listing
from streamnorm.stores.redis.nodes import Nodes
from streamnorm.stores.redis.rounds import Rounds
from streamnorm.stores.redis.watch import Watch
from streamnorm.stores.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from streamnorm.engine.plan import Plan
    from streamnorm.engine.streams import Change
    from streamnorm.stores.redis.address import Address
    from streamnorm.stores.redis.batcher import Entry

T = TypeVar("T")

#: Streams remembered; of 8 features each takes 1.5 kB of memory.
DEFAULT_MAX_REMEMBERED = 100_000
#: A change in another thread is done again so often where others overtake it.
HEAVY_TRIES = 10


class Replicated:
    """All streams of a store, as one replica sees them; a `streamnorm.engine.streams.Streams`.

    `replicas` of the store must have a change before it is answered. A stream that has not changed for `ttl` seconds is
    forgotten; 0 keeps all.
    """

    def __init__(
        self,
        address: Address,
        default_plan: Plan,
        *,
        prefix: str,
        replicas: int = 0,
        max_remembered: int = DEFAULT_MAX_REMEMBERED,
        ttl: float = 0.0,
    ) -> None:
        self.default_plan = default_plan
        self.nodes = Nodes(address)
        self.keys = Keyspace(prefix)
        self._listing = Listing(self.nodes, self.keys)
        self.watch = Watch(self.nodes, self._listing)
        self._rounds = Rounds(
            self.nodes, self.keys, keep=round(ttl * 1000), replicas=replicas, max_remembered=max_remembered
        )
        self._turns = Turns()

    async def start(self) -> None:
        """Begin to watch whether the store is there."""
        await self.watch.start()

    async def stop(self) -> None:
        """Finish what was begun and let go of the store."""
        await self.watch.stop()
        await self._rounds.stop()
        await self.nodes.close()

    async def flush(self) -> None:
        """Do nothing: what was answered is in the store."""

    def at_hand(self, stream_id: str) -> Stream | None:
        """Give none: another replica may have changed it."""

    async def update(
        self, stream_id: str, change: Change[T], *, create: bool = True, draft: bool = False, heavy: bool = False
    ) -> T:
        """Change a stream; see `streamnorm.engine.streams.Streams`. Changes always work on a draft."""
        del draft

        def edit(entry: Entry) -> tuple[Stream, T]:
            stream = self._to_change(stream_id, entry, create=create)
            return stream, change(stream)

        if not heavy and stream_id not in self._turns:
            return cast("T", await self._rounds.do(stream_id, edit))
        async with self._turns.hold([stream_id]):
            return cast("T", await (self._apart(stream_id, edit) if heavy else self._rounds.do(stream_id, edit)))

    async def update_together(
        self, stream_ids: Iterable[str], change: Callable[[Mapping[str, Stream]], T], *, heavy: bool = False
    ) -> T:
        """Change several streams by one change of all; see `streamnorm.engine.streams.Streams`.

        Where another replica was quicker at one, what was written is put back, and all is computed anew.
        """
        each = list(stream_ids)
        async with self._turns.hold(sorted(each)):
            while True:
                before = await self._rounds.entries(each)
                drafts = {key: self._to_change(key, before[key], create=True) for key in each}
                result = await asyncio.to_thread(change, drafts) if heavy else change(drafts)
                put = await asyncio.gather(*(self._rounds.exchange(key, before[key], drafts[key]) for key in each))
                if all(put):
                    return result
                written = [key for key, done in zip(each, put, strict=True) if done]
                await self._rounds.put_back({key: (before[key], drafts[key]) for key in written})

    async def update_many(self, changes: Mapping[str, Change[T]], *, heavy: bool = False) -> dict[str, T]:
        """Change several streams; see `streamnorm.engine.streams.Streams`.

        All are computed before any is written. Where another replica is quicker at one, and it is refused then, those
        that were written are put back as they were, unless they have changed again meanwhile.
        """
        del heavy  # what replicas share is bounded by the store, not by the arithmetic
        async with self._turns.hold(sorted(changes)):
            before = {key: entry for key in changes if (entry := self._rounds.known(key)) is not None}
            guessed = bool(before)
            before |= await self._rounds.entries(key for key in changes if key not in before)
            after: dict[str, Stream] = {}
            results: dict[str, T] = {}
            due = list(changes)
            while due:
                try:
                    for stream_id in due:
                        stream = self._to_change(stream_id, before[stream_id], create=True)
                        results[stream_id] = changes[stream_id](stream)
                        after[stream_id] = stream
                except StreamnormError:
                    if guessed:  # then the refusal may be founded on what was true once
                        guessed, before = False, await self._rounds.entries(changes)
                        continue
                    await self._rounds.put_back({key: (before[key], after[key]) for key in changes if key not in due})
                    raise
                guessed = False
                put = await asyncio.gather(*(self._rounds.exchange(key, before[key], after[key]) for key in due))
                due = [stream_id for stream_id, done in zip(due, put, strict=True) if not done]
                before |= await self._rounds.entries(due)
        return results

    async def read(self, stream_id: str, view: Callable[[Stream], T]) -> T:
        """Look at a stream."""

        def edit(entry: Entry) -> tuple[Stream, T]:
            if entry.stream is None:
                raise StreamNotFound(stream_id)
            return entry.stream, view(entry.stream)

        return cast("T", await self._rounds.do(stream_id, edit, fresh=True))

    async def replace(self, stream_id: str, stream: Stream) -> bool:
        """Put a whole stream in place; tells whether there was none before."""
        made: bool = await self._rounds.do(stream_id, lambda entry: (stream, entry.stream is None))
        return made

    async def delete(self, stream_id: str) -> None:
        """Forget a stream."""

        def edit(entry: Entry) -> tuple[None, None]:
            if entry.stream is None:
                raise StreamNotFound(stream_id)
            return None, None

        await self._rounds.do(stream_id, edit)

    def peek(self, stream_id: str) -> Stream | None:
        """Look at a stream where it is remembered; it may have changed elsewhere."""
        entry = self._rounds.known(stream_id)
        return None if entry is None else entry.stream

    async def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List streams in byte order."""
        return await self._listing.streams(prefix, after, limit)

    def check(self) -> None:
        """Raise the StoreError that keeps changes from being kept, if there was one a moment ago."""
        if self.watch.failure is not None:
            raise self.watch.failure

    def vitals(self) -> Vitals:
        """Give figures of how the streams are kept; commits are rounds that wrote."""
        rounds, resident = self._rounds, len(self._rounds.remembered)
        return Vitals(resident, max(0, self.watch.total - resident), 0.0, rounds.commits, rounds.commit_seconds)

    def _to_change(self, stream_id: str, entry: Entry, *, create: bool) -> Stream:
        if entry.stream is not None:
            return entry.stream.draft()
        if not create:
            raise StreamNotFound(stream_id)
        return Stream(self.default_plan)

    async def _apart(self, stream_id: str, edit: Callable[[Entry], tuple[Stream, T]]) -> T:
        """Do an edit in another thread."""
        for _ in range(HEAVY_TRIES):
            entry = await self._rounds.entry(stream_id)
            stream, result = await asyncio.to_thread(edit, entry)
            if await self._rounds.exchange(stream_id, entry, stream):
                return result
        raise StoreUnavailable(f"stream {stream_id!r} is being changed by others all the time")
