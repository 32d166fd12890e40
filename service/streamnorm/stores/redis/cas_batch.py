"""Batches the pending edits for one node into rounds: read what is not cached, compute, compare-and-set.

Rules:

1. A round takes all pending edits of a stream in order of arrival, writes the stream once, and then reports results.
2. Optimistic concurrency: edits are computed on the cached version, and the store's compare-and-set rejects stale ones.
   So an edit that failed, or changed nothing, is reported only if the stream was read in the same round.
3. On a conflict the edits are retried on the version that the store returned.
4. Streams are never changed in place: an edit returns a new one.
5. When the node does not answer in time, all pending edits fail: the next round would only time out, too.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from streamnorm.compat.redis import ResponseError
from streamnorm.engine.streams.stream import Stream
from streamnorm.errors import StoreUnavailable, StreamnormError
from streamnorm.stores.codec import decode, encode
from streamnorm.stores.redis.connection import NotSent, Silent
from streamnorm.stores.redis.keyspace import partition
from streamnorm.stores.redis.topology import is_redirect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamnorm.compat.redis import Command, Reply
    from streamnorm.stores.redis.connection import NodeConnection
    from streamnorm.stores.redis.keyspace import Keyspace
    from streamnorm.stores.redis.topology import Topology

log = logging.getLogger(__name__)

#: Limits the latency of a round: its first edit waits for its last. Rounds stay far below it at 64 calls in flight.
MAX_BATCH = 512
#: Bytes of the random version that precedes the encoded stream in a blob; random, so that no version recurs.
VERSION_SIZE = 8
#: One replica succeeds in every round, so only extreme contention reaches this limit.
MAX_ATTEMPTS = 200


class Entry(NamedTuple):
    """A stream with its version; None with an empty version where there is no stream."""

    version: bytes
    stream: Stream | None


#: Maps the current entry to the stream's new state (the same object: unchanged; None: deleted) and a result.
Edit = Callable[[Entry], tuple[Stream | None, Any]]


@dataclass(slots=True, eq=False)
class PendingEdit:
    """An edit that awaits its round; with `must_read` the stream is read from the store, not from the cache."""

    stream_id: str
    edit: Edit
    done: asyncio.Future[Any]
    must_read: bool = False
    #: loop time after which the edit is not retried
    deadline: float = 0.0
    tries: int = 0

    def settle(self, outcome: object) -> None:
        """Resolve the future with a result or an error, unless it was cancelled."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_exception(outcome)
        else:
            self.done.set_result(outcome)


class CasContext(Protocol):
    """The state that the batchers of all nodes share."""

    nodes: Topology
    keys: Keyspace
    #: milliseconds that a stream is kept after its last change; 0: indefinitely
    keep: int
    #: replicas of the store that must have a change before it is acknowledged
    replicas: int
    #: rounds that wrote, and the seconds they took
    commits: int
    commit_seconds: float

    def cached(self, stream_id: str) -> Entry | None:
        """Return the cached entry of a stream, if there is one."""

    def cache(self, stream_id: str, entry: Entry | None) -> None:
        """Cache a stream's entry; None drops it."""

    def requeue(self, tasks: Iterable[PendingEdit], error: StoreUnavailable) -> None:
        """Retry edits that had no effect until their deadline, then fail them with the error."""


class StreamBatch:
    """The pending edits of one stream in a round."""

    __slots__ = ("entry", "outcomes", "put", "read", "stream_id", "tasks")

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self.tasks: list[PendingEdit] = []
        self.entry: Entry | None = None
        self.read = False
        self.outcomes: list[Any] = []
        self.put = b""

    def work(self) -> Entry:
        """Apply the edits in order; return the resulting entry."""
        assert self.entry is not None  # noqa: S101 - read or cached by now
        entry, version = self.entry, os.urandom(VERSION_SIZE)
        self.outcomes = []
        for task in self.tasks:
            try:
                stream, outcome = task.edit(entry)
            except StreamnormError as error:
                outcome = error
            except Exception as error:  # a defect of ours must not stop the others
                log.exception("an edit of stream %r failed", self.stream_id)
                outcome = error
            else:
                if stream is not entry.stream:
                    entry = Entry(version, stream)
            self.outcomes.append(outcome)
        return entry

    def settle(self, failure: StoreUnavailable | None = None) -> None:
        """Resolve every edit with its outcome; those that succeeded with the failure, if there is one."""
        for task, outcome in zip(self.tasks, self.outcomes, strict=True):
            task.settle(outcome if failure is None or isinstance(outcome, Exception) else failure)

    def fail(self, error: Exception) -> None:
        """Fail every edit with the same error."""
        for task in self.tasks:
            task.settle(error)


class CasBatcher:
    """Collects the pending edits for one node and runs rounds while there are any."""

    def __init__(self, link: NodeConnection, shared: CasContext) -> None:
        self._link = link
        self._shared = shared
        self._waiting: deque[PendingEdit] = deque()
        self._worker: asyncio.Task[None] | None = None

    def add(self, task: PendingEdit) -> None:
        """Queue an edit for the next round."""
        self._waiting.append(task)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work(), name=f"streamnorm rounds to {self._link.place}")

    async def drained(self) -> None:
        """Wait until no edit is pending."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        while self._waiting:
            groups = self._take()
            try:
                await self._round(groups)
            except Exception as error:  # a defect of ours must not stop the rounds
                log.exception("a round to %s failed", self._link.place)
                for group in groups:
                    group.fail(error)

    def _take(self) -> list[StreamBatch]:
        groups: dict[str, StreamBatch] = {}
        for _ in range(min(len(self._waiting), MAX_BATCH)):
            task = self._waiting.popleft()
            if not task.done.done():
                groups.setdefault(task.stream_id, StreamBatch(task.stream_id)).tasks.append(task)
        return list(groups.values())

    async def _round(self, groups: list[StreamBatch]) -> None:
        changed: list[tuple[StreamBatch, Entry]] = []
        for group in await self._read(groups):
            entry = group.work()
            if entry is not group.entry:
                changed.append((group, entry))
            elif group.read:
                group.settle()
            else:  # rule 2
                self._shared.cache(group.stream_id, None)
                self._waiting.extendleft(reversed(group.tasks))
        if changed:
            await self._write(changed)

    async def _read(self, groups: list[StreamBatch]) -> list[StreamBatch]:
        """Get the groups' entries from the cache or the store; return the groups for which that succeeded."""
        unknown = []
        for group in groups:
            group.entry = None if any(task.must_read for task in group.tasks) else self._shared.cached(group.stream_id)
            if group.entry is None:
                unknown.append(group)
        if not unknown:
            return groups
        blobs = [("GET", self._shared.keys.blob(group.stream_id)) for group in unknown]
        try:
            replies = await self._shared.nodes.run(self._link, blobs)
        except StoreUnavailable as error:  # nothing has happened
            replies = self._failed(error, len(blobs))
        for group, reply in zip(unknown, replies, strict=True):
            if isinstance(reply, Exception):
                self._on_refused(group, reply)
            else:
                self._on_read(group, reply or b"")
        return [group for group in groups if group.entry is not None]

    async def _write(self, changed: list[tuple[StreamBatch, Entry]]) -> None:
        shared = self._shared
        puts = [self._on_written(group, entry) for group, entry in changed]
        began = perf_counter()
        try:
            replies = await shared.nodes.run(self._link, puts, shared.replicas)
        except StoreUnavailable as error:
            replies = self._failed(error, len(puts))
        shared.commits += 1
        shared.commit_seconds += perf_counter() - began
        for (group, entry), reply in zip(changed, replies, strict=True):
            if reply == 1:
                shared.cache(group.stream_id, None if entry.stream is None else entry)
                group.settle()
            elif isinstance(reply, (NotSent, ResponseError)):
                self._on_refused(group, reply)
            elif isinstance(reply, StoreUnavailable):  # possibly written, but not to enough replicas
                shared.cache(group.stream_id, None)
                group.settle(reply)
            else:
                self._on_conflict(group, reply)

    def _failed(self, error: StoreUnavailable, commands: int) -> list[Reply]:
        """Return the error as the reply to each command; if the node is silent, fail all pending edits, too."""
        if isinstance(error, Silent):
            for task in self._waiting:
                task.settle(error)
            self._waiting.clear()
        return [error] * commands

    def _on_written(self, group: StreamBatch, entry: Entry) -> Command:
        assert group.entry is not None  # noqa: S101 - the edits were applied to it
        shared, stream_id, before = self._shared, group.stream_id, group.entry
        keys = [shared.keys.blob(stream_id)]
        if before.stream is None or entry.stream is None:
            keys.append(shared.keys.index(partition(stream_id)))
        new = b"" if entry.stream is None else entry.version + encode(entry.stream)
        return ("FCALL", "streamnorm_put_1", len(keys), *keys, before.version, new, shared.keep, stream_id)

    def _on_read(self, group: StreamBatch, blob: bytes) -> None:
        """Take over a stream's blob from the store."""
        try:
            stream = decode(group.stream_id, blob[VERSION_SIZE:]) if blob else None
        except StreamnormError as error:
            group.fail(error)
            return
        group.entry = Entry(blob[:VERSION_SIZE], stream)
        group.read = True
        self._shared.cache(group.stream_id, group.entry)

    def _on_conflict(self, group: StreamBatch, blob: bytes) -> None:
        """Retry a group, ahead of all pending edits, on the version that another replica has written."""
        group.entry = None
        self._on_read(group, blob)
        if group.entry is None:
            return
        retried = []
        for task in group.tasks:
            task.tries += 1
            task.must_read = False  # the entry was just read
            if task.tries < MAX_ATTEMPTS:
                retried.append(task)
            else:
                task.settle(StoreUnavailable(f"stream {group.stream_id!r} is being changed by too many at once"))
        self._waiting.extendleft(reversed(retried))

    def _on_refused(self, group: StreamBatch, reply: Reply) -> None:
        """Retry edits that another node or a later attempt may accept; fail the others."""
        if isinstance(reply, Silent):
            group.fail(reply)
            return
        if isinstance(reply, StoreUnavailable):
            self._shared.requeue(group.tasks, reply)
            return
        error = StoreUnavailable(f"the store at {self._link.place} refuses stream {group.stream_id!r}: {reply}")
        if is_redirect(reply):
            self._shared.requeue(group.tasks, error)
        else:
            group.fail(error)
