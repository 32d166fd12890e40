"""Streams that several replicas of the service share in Valkey or Redis: the engine's `Streams` on many machines.

Rules:

1. A change is answered when the store has it, and with durability `always` some of the store's replicas too.
2. Nothing that cannot be had from the store is kept here: what is remembered saves reading, and is compared when set.
3. While a heavy change of a stream runs here, other changes of it wait their turn here; elsewhere they may overtake it,
   then it is done again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, TypeVar, cast

from streamnorm.engine.stream import Stream
from streamnorm.engine.streams import Vitals
from streamnorm.errors import StoreUnavailable, StreamnormError, StreamNotFound
from streamnorm.stores.codec import encode
from streamnorm.stores.redis.batcher import Batcher, Edit, Entry, Task
from streamnorm.stores.redis.keyspace import Keyspace, partition
from streamnorm.stores.redis.listing import Listing
from streamnorm.stores.redis.nodes import PATIENCE, PAUSE, Nodes
from streamnorm.stores.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from streamnorm.engine.plan import Plan
    from streamnorm.engine.streams import Change
    from streamnorm.stores.redis.address import Address
    from streamnorm.stores.redis.link import Link

T = TypeVar("T")

log = logging.getLogger(__name__)

#: Streams remembered; of 8 features each takes 1.5 kB of memory.
DEFAULT_MAX_REMEMBERED = 100_000
#: Seconds between two looks whether the store is there.
CHECK_INTERVAL = 1.0
#: Counting asks for a thousand numbers.
CHECKS_PER_COUNT = 60
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
        self.keep = round(ttl * 1000)
        self.replicas = replicas
        #: called at the start and about once a second
        self.watchers: list[Callable[[], Awaitable[None]]] = []
        self.commits = 0
        self.commit_seconds = 0.0
        self._total = 0
        self._max_remembered = max_remembered
        self._remembered: dict[str, Entry] = {}
        self._batchers: dict[Link, Batcher] = {}
        self._listing = Listing(self.nodes, self.keys)
        self._turns = Turns()
        self._again: list[Task] = []
        self._retrying: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._failure: StoreUnavailable | None = StoreUnavailable(f"{address} was not reached yet")

    async def start(self) -> None:
        """Begin to watch whether the store is there."""
        await self._look()
        self._checking = asyncio.create_task(self._watch(), name="streamnorm store check")

    async def stop(self) -> None:
        """Finish what was begun and let go of the store."""
        for task in (self._checking, self._retrying):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._fail_all(StoreUnavailable("the service is stopping"))
        for batcher in self._batchers.values():
            await batcher.drained()
        self._fail_all(StoreUnavailable("the service is stopping"))
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
            return cast("T", await self._do(stream_id, edit))
        async with self._turns.hold([stream_id]):
            return cast("T", await (self._apart(stream_id, edit) if heavy else self._do(stream_id, edit)))

    async def update_together(
        self, stream_ids: Iterable[str], change: Callable[[Mapping[str, Stream]], T], *, heavy: bool = False
    ) -> T:
        """Change several streams by one change of all; see `streamnorm.engine.streams.Streams`.

        Where another replica was quicker at one, what was written is put back, and all is computed anew.
        """
        each = list(stream_ids)
        async with self._turns.hold(sorted(each)):
            while True:
                before = await self._entries(each)
                drafts = {key: self._to_change(key, before[key], create=True) for key in each}
                result = await asyncio.to_thread(change, drafts) if heavy else change(drafts)
                put = await asyncio.gather(*(self._exchange(key, before[key], drafts[key]) for key in each))
                if all(put):
                    return result
                written = [key for key, done in zip(each, put, strict=True) if done]
                await self._put_back({key: (before[key], drafts[key]) for key in written})

    async def update_many(self, changes: Mapping[str, Change[T]], *, heavy: bool = False) -> dict[str, T]:
        """Change several streams; see `streamnorm.engine.streams.Streams`.

        All are computed before any is written. Where another replica is quicker at one, and it is refused then, those
        that were written are put back as they were, unless they have changed again meanwhile.
        """
        del heavy  # what replicas share is bounded by the store, not by the arithmetic
        async with self._turns.hold(sorted(changes)):
            before = {key: entry for key in changes if (entry := self.known(key)) is not None}
            guessed = bool(before)
            before |= await self._entries(key for key in changes if key not in before)
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
                        guessed, before = False, await self._entries(changes)
                        continue
                    await self._put_back({key: (before[key], after[key]) for key in changes if key not in due})
                    raise
                guessed = False
                put = await asyncio.gather(*(self._exchange(key, before[key], after[key]) for key in due))
                due = [stream_id for stream_id, done in zip(due, put, strict=True) if not done]
                before |= await self._entries(due)
        return results

    async def read(self, stream_id: str, view: Callable[[Stream], T]) -> T:
        """Look at a stream."""

        def edit(entry: Entry) -> tuple[Stream, T]:
            if entry.stream is None:
                raise StreamNotFound(stream_id)
            return entry.stream, view(entry.stream)

        return cast("T", await self._do(stream_id, edit, fresh=True))

    async def replace(self, stream_id: str, stream: Stream) -> bool:
        """Put a whole stream in place; tells whether there was none before."""
        made: bool = await self._do(stream_id, lambda entry: (stream, entry.stream is None))
        return made

    async def delete(self, stream_id: str) -> None:
        """Forget a stream."""

        def edit(entry: Entry) -> tuple[None, None]:
            if entry.stream is None:
                raise StreamNotFound(stream_id)
            return None, None

        await self._do(stream_id, edit)

    def peek(self, stream_id: str) -> Stream | None:
        """Look at a stream where it is remembered; it may have changed elsewhere."""
        entry = self._remembered.get(stream_id)
        return None if entry is None else entry.stream

    async def page(self, prefix: str, after: str, limit: int) -> list[tuple[str, Stream]]:
        """List streams in byte order."""
        return await self._listing.streams(prefix, after, limit)

    def check(self) -> None:
        """Raise the StoreError that keeps changes from being kept, if there was one a moment ago."""
        if self._failure is not None:
            raise self._failure

    def vitals(self) -> Vitals:
        """Give figures of how the streams are kept; commits are rounds that wrote."""
        resident = len(self._remembered)
        return Vitals(resident, max(0, self._total - resident), 0.0, self.commits, self.commit_seconds)

    def known(self, stream_id: str) -> Entry | None:
        """Give what is remembered of a stream."""
        return self._remembered.get(stream_id)

    def remember(self, stream_id: str, entry: Entry | None) -> None:
        """Remember a stream, the one changed longest ago no more where there are too many; or forget it."""
        self._remembered.pop(stream_id, None)
        if entry is not None:
            self._remembered[stream_id] = entry
            if len(self._remembered) > self._max_remembered:
                del self._remembered[next(iter(self._remembered))]

    def again(self, tasks: Iterable[Task], error: StoreUnavailable) -> None:
        """Try tasks again that have not happened, as long as there is patience; then tell the error."""
        now = asyncio.get_running_loop().time()
        for task in tasks:
            if task.deadline is None:
                task.deadline = now + PATIENCE
            if now > task.deadline:
                task.settle(error)
            else:
                self._again.append(task)
        if self._again and (self._retrying is None or self._retrying.done()):
            self._retrying = asyncio.create_task(self._retry(), name="streamnorm store retry")

    def _to_change(self, stream_id: str, entry: Entry, *, create: bool) -> Stream:
        if entry.stream is not None:
            return entry.stream.draft()
        if not create:
            raise StreamNotFound(stream_id)
        return Stream(self.default_plan)

    def _do(self, stream_id: str, edit: Edit, *, fresh: bool = False) -> asyncio.Future[Any]:
        task = Task(stream_id, edit, asyncio.get_running_loop().create_future(), fresh)
        self._submit(task)
        return task.done

    def _submit(self, task: Task) -> None:
        link = self.nodes.owner(partition(task.stream_id))
        if link is None:
            self.again([task], StoreUnavailable(f"{self.nodes.address} has no node for stream {task.stream_id!r}"))
            return
        if link not in self._batchers:
            self._batchers[link] = Batcher(link, self)
        self._batchers[link].add(task)

    async def _apart(self, stream_id: str, edit: Callable[[Entry], tuple[Stream, T]]) -> T:
        """Do an edit in another thread."""
        for _ in range(HEAVY_TRIES):
            entry = await self._entry(stream_id)
            stream, result = await asyncio.to_thread(edit, entry)
            if await self._exchange(stream_id, entry, stream):
                return result
        raise StoreUnavailable(f"stream {stream_id!r} is being changed by others all the time")

    def _entry(self, stream_id: str) -> asyncio.Future[Entry]:
        """Read a stream with its version."""
        return self._do(stream_id, lambda entry: (entry.stream, entry), fresh=True)

    async def _entries(self, stream_ids: Iterable[str]) -> dict[str, Entry]:
        """Read streams with their versions."""
        asked = {stream_id: self._entry(stream_id) for stream_id in stream_ids}
        return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))

    def _exchange(self, stream_id: str, expected: Entry, stream: Stream | None) -> asyncio.Future[bool]:
        """Put a stream in place of another; tells whether it was still that one."""

        def edit(entry: Entry) -> tuple[Stream | None, bool]:
            same = entry.version == expected.version
            return (stream if same else entry.stream), same

        return self._do(stream_id, edit)

    async def _put_back(self, written: Mapping[str, tuple[Entry, Stream]]) -> None:
        """Undo changes; a stream that has changed again meanwhile stays as it is."""
        for stream_id, (before, after) in written.items():
            entry = await self._entry(stream_id)
            if entry.stream is not None and encode(entry.stream) == encode(after):
                await self._exchange(stream_id, entry, before.stream)

    async def _retry(self) -> None:
        while self._again:
            await asyncio.sleep(PAUSE)
            with contextlib.suppress(StoreUnavailable):  # told by the tasks' own tries
                await self.nodes.refresh()
            tasks, self._again = self._again, []
            for task in tasks:
                self._submit(task)

    def _fail_all(self, error: StoreUnavailable) -> None:
        """Give up what is to be tried again."""
        tasks, self._again = self._again, []
        for task in tasks:
            task.settle(error)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailable):  # told by _look
                self._total = await self._listing.count()
            for _ in range(CHECKS_PER_COUNT):
                await asyncio.sleep(CHECK_INTERVAL)
                await self._look()

    async def _ailment(self, link: Link) -> StoreUnavailable | None:
        """Tell what keeps a node from serving, if anything does."""
        try:
            if not self.nodes.address.cluster:
                await link.one("PING")
            elif b"cluster_state:ok" not in await link.one("CLUSTER", "INFO"):
                return StoreUnavailable(f"the cluster {self.nodes.address} is down, as {link.place} says")
        except StoreUnavailable as error:
            return error
        return None

    async def _look(self) -> None:
        """See whether any node is there; where one shard of several is gone, the others are still served."""
        failure: StoreUnavailable | None = None
        try:
            if not self.nodes.masters():
                await self.nodes.refresh()
            failures = await asyncio.gather(*map(self._ailment, self.nodes.masters()))
            if all(failures):
                failure = failures[0] if failures else StoreUnavailable(f"{self.nodes.address} has no nodes")
                await self.nodes.refresh()
        except StoreUnavailable as error:
            failure = error
        if (failure is None) != (self._failure is None):
            if failure is None:
                log.info("the store %s is there", self.nodes.address)
            else:
                log.error("readings are refused: %s", failure)
        self._failure = failure
        for watcher in () if failure else self.watchers:
            with contextlib.suppress(StoreUnavailable):  # the next look tells
                await watcher()
